//! What a program used: time, processor time, memory. Read from `/proc`, so Linux only.

use std::{
    fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use crate::{Result, shell::line};

/// What one run of a program took.
pub(crate) struct Usage {
    /// From start to end.
    pub(crate) wall: Duration,
    /// Processor time, its own and the kernel's for it; exact to 10 ms.
    pub(crate) cpu: Duration,
    /// The most memory it held at once, in bytes; polled, so a peak in its last milliseconds may be missed.
    pub(crate) peak_memory: u64,
}

/// The unit of processor times in `/proc` (`USER_HZ`, see `man 5 proc`): the same on every Linux that Rust runs on.
const TICK: Duration = Duration::from_millis(10);

/// Runs `command` to its end and watches it.
///
/// Fails when the command does.
pub(crate) fn measure(command: &mut Command) -> Result<Usage> {
    let cpu_before = cpu_of_finished_children()?;
    let start = Instant::now();
    let mut child =
        command.spawn().map_err(|error| format!("`{}` does not start: {error}", line(command)))?;
    let mut peak_memory = 0;
    let status = loop {
        peak_memory = peak_memory_of(child.id()).unwrap_or(0).max(peak_memory);
        if let Some(status) = child.try_wait()? {
            break status;
        }
        thread::sleep(Duration::from_millis(5));
    };
    let wall = start.elapsed();
    if !status.success() {
        return Err(format!("`{}` failed: {status}", line(command)).into());
    }
    Ok(Usage { wall, cpu: cpu_of_finished_children()? - cpu_before, peak_memory })
}

/// The bytes of all files below `folder`.
pub(crate) fn bytes_below(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { bytes_below(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}

/// Processor time of the children that have ended and been waited for: `cutime` and `cstime` of `/proc/self/stat`.
fn cpu_of_finished_children() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The fields are counted from behind the program's name, which may itself hold spaces and parentheses.
    let (_, fields) = stat.rsplit_once(") ").ok_or("/proc/self/stat has another form than expected")?;
    let ticks =
        fields.split(' ').skip(13).take(2).map(str::parse::<u32>).sum::<std::result::Result<u32, _>>()?;
    Ok(TICK * ticks)
}

/// `VmHWM` of a running process; `None` once it has ended.
fn peak_memory_of(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix(" kB")?;
    kib.parse::<u64>().ok().map(|kib| kib * 1024)
}
