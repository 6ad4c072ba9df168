//! Ports nobody else uses.

use std::{
    net::{Ipv4Addr, TcpListener},
    process,
    sync::atomic::{AtomicU16, Ordering},
};

// Below the ports that outgoing connections are given, so that a stopped server finds its own free when it starts again.
const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;

/// A port of this machine that was free a moment ago. Test processes that run at once begin their search at different ones.
pub(crate) fn free() -> u16 {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let start = (process::id() % u32::from(COUNT)) as u16;
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    (0..COUNT)
        .map(|_| FIRST + (start.wrapping_mul(61).wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed))) % COUNT)
        .find(is_free)
        .expect("a free port")
}
