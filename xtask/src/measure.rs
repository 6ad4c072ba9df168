//! What a program used: time, processor time, memory. Read from `/proc`, so Linux only.

use std::{
    fs,
    path::Path,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use crate::{
    Result,
    shell::{command, line, run},
};

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
        peak_memory = memory_of(child.id(), "VmHWM:").unwrap_or(0).max(peak_memory);
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

/// Runs `command` to its end, without watching it: for what takes milliseconds.
///
/// Fails when the command does.
pub(crate) fn time(command: &mut Command) -> Result<Duration> {
    let start = Instant::now();
    run(command)?;
    Ok(start.elapsed())
}

/// A program that runs beside us. Dropped, it is killed.
pub(crate) struct Running {
    child: Child,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let child =
            command.spawn().map_err(|error| format!("`{}` does not start: {error}", line(command)))?;
        Ok(Self { child })
    }

    /// Processor time so far, its own and the kernel's for it; exact to 10 ms. Fails when it has ended.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        // The first two of the times are its own, see [`cpu_of_finished_children`].
        processor_time(&format!("/proc/{}/stat", self.child.id()), 11)
    }

    /// The memory that it holds, in bytes.
    pub(crate) fn memory(&self) -> Result<u64> {
        Ok(memory_of(self.child.id(), "VmRSS:").ok_or("the program has ended")?)
    }

    /// The most memory that it has held at once, in bytes.
    pub(crate) fn peak_memory(&self) -> Result<u64> {
        Ok(memory_of(self.child.id(), "VmHWM:").ok_or("the program has ended")?)
    }

    /// Fails when it has ended.
    pub(crate) fn expect_running(&mut self) -> Result {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(format!("the program ended too early: {status}").into()),
        }
    }

    /// Has it end in good order.
    pub(crate) fn stop(mut self) -> Result {
        run(&mut command("kill", ["-s", "TERM", &self.child.id().to_string()]))?;
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("the program ended badly: {status}").into()) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has mostly ended by then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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
    processor_time("/proc/self/stat", 13)
}

/// The sum of two times in a `stat` file of `/proc`, the first of which is the field at `index` behind the program's name.
fn processor_time(file: &str, index: usize) -> Result<Duration> {
    let stat = fs::read_to_string(file)?;
    // The program's name may itself hold spaces and parentheses.
    let (_, fields) =
        stat.rsplit_once(") ").ok_or_else(|| format!("{file} has another form than expected"))?;
    let ticks =
        fields.split(' ').skip(index).take(2).map(str::parse::<u32>).sum::<std::result::Result<u32, _>>()?;
    Ok(TICK * ticks)
}

/// A value of a running process's `status`, in bytes; `None` once it has ended.
fn memory_of(process: u32, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix(name))?.trim().strip_suffix(" kB")?;
    kib.parse::<u64>().ok().map(|kib| kib * 1024)
}
