//! When a request says that it was sent.

use std::time::Duration;

use tidemark_engine::Time;

use super::Unverified;

/// Checks that `text`, in seconds since 1970, is no further from `now` than `tolerance`: what somebody recorded cannot be sent later.
pub(super) fn check(text: &[u8], now: Time, tolerance: Duration) -> Result<(), Unverified> {
    // As many digits as a moment may have; no sign, no space.
    if text.is_empty() || text.len() > 12 || !text.iter().all(u8::is_ascii_digit) {
        return Err(Unverified);
    }
    let seconds: i64 = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(Unverified)?;
    let apart = now.as_micros().div_euclid(1_000_000).abs_diff(seconds);
    if apart <= tolerance.as_secs() { Ok(()) } else { Err(Unverified) }
}
