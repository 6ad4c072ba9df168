//! How the C library deals out memory.

/// Has all threads share one heap. The GNU C library gives each thread its own otherwise, and what has been freed in one of them is
/// of no use in another: a quarter of the peak was such memory. See docs/decisions/0016-one-heap.md.
///
/// Called before there is a second thread. Who sets `MALLOC_ARENA_MAX` has decided otherwise.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "the C library offers no other way to say it")]
pub(crate) fn share_one_heap() {
    use std::ffi::c_int;

    /// From `malloc.h`.
    const M_ARENA_MAX: c_int = -8;
    unsafe extern "C" {
        fn mallopt(option: c_int, value: c_int) -> c_int;
    }
    if std::env::var_os("MALLOC_ARENA_MAX").is_none() {
        // SAFETY: `mallopt` takes two numbers and keeps no reference to anything of ours. One that it does not know it ignores.
        unsafe { mallopt(M_ARENA_MAX, 1) };
    }
}

/// Elsewhere memory is dealt out as the system does it.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn share_one_heap() {}
