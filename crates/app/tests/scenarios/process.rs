//! `tidemark` as a process: started, waited for, asked to stop, killed. Every wait has a deadline, and a process that a
//! failing test leaves behind is killed.

use std::{
    fs::{self, File},
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// How long anything may take before the test fails.
const DEADLINE: Duration = Duration::from_secs(300);
const TICK: Duration = Duration::from_millis(5);

/// A started `tidemark`.
pub(crate) struct Running {
    child: Child,
    command: String,
    /// When it was, or was asked to stop.
    started: Instant,
    output: TempDir,
    peak_memory: u64,
}

/// How a `tidemark` ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    command: String,
    status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// The most memory it held at once, in bytes.
    pub(crate) peak_memory: u64,
}

impl Running {
    /// Starts it with `arguments`, separated by spaces, in `folder` and with no other environment than `variables`.
    pub(crate) fn start(folder: &Path, variables: &[(&str, &str)], arguments: &str) -> Self {
        Self::start_by(Command::new(env!("CARGO_BIN_EXE_tidemark")), folder, variables, arguments)
    }

    /// The same, by a command that runs the program, or becomes it.
    pub(crate) fn start_by(
        mut command: Command,
        folder: &Path,
        variables: &[(&str, &str)],
        arguments: &str,
    ) -> Self {
        // Files, not pipes: they never fill, so nobody has to read along.
        let output = tempfile::tempdir().unwrap();
        let child = command
            .args(arguments.split_whitespace())
            .current_dir(folder)
            .env_clear()
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(File::create(output.path().join("stdout")).unwrap())
            .stderr(File::create(output.path().join("stderr")).unwrap())
            .spawn()
            .unwrap();
        let command = format!("tidemark {arguments}");
        Self { child, command, started: Instant::now(), output, peak_memory: 0 }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it ends by itself.
    pub(crate) fn ends(mut self) -> Outcome {
        loop {
            self.peak_memory = peak_memory(self.id()).unwrap_or(0).max(self.peak_memory);
            if let Some(status) = self.child.try_wait().unwrap() {
                return Outcome {
                    command: self.command.clone(),
                    status,
                    stdout: self.printed("stdout"),
                    stderr: self.printed("stderr"),
                    peak_memory: self.peak_memory,
                };
            }
            assert!(
                self.started.elapsed() < DEADLINE,
                "`{}` did not end in {DEADLINE:?}; it said:\n{}",
                self.command,
                self.printed("stderr")
            );
            thread::sleep(TICK);
        }
    }

    /// Asks it to stop, as a service manager does, and waits until it has.
    pub(crate) fn terminate(mut self) -> Outcome {
        self.ask_to_stop();
        self.started = Instant::now();
        self.ends()
    }

    /// Asks it to stop, and does not wait.
    pub(crate) fn ask_to_stop(&self) {
        self.signal("TERM");
    }

    /// Has it stand still, as a machine does that is suspended; its connections stay open.
    pub(crate) fn suspend(&self) {
        self.signal("STOP");
    }

    /// Lets it go on, as if no time had passed.
    pub(crate) fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        // The shell's own `kill`, for there may be no program of that name.
        let kill = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.id())]).status().unwrap();
        assert!(kill.success(), "`{}` was not there any more:\n{}", self.command, self.printed("stderr"));
    }

    /// Ends it on the spot, as a power cut does.
    pub(crate) fn kill(mut self) -> Outcome {
        self.child.kill().unwrap();
        self.ends()
    }

    /// Whether it has not ended yet.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until `condition` holds while it runs; fails when it ends first.
    pub(crate) fn until(&mut self, what: &str, mut condition: impl FnMut() -> bool) {
        let start = Instant::now();
        while !condition() {
            let said = || self.printed("stderr");
            assert!(start.elapsed() < DEADLINE, "waited {DEADLINE:?} for this: {what}; it said:\n{}", said());
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!(
                    "`{}` ended ({status}) before this: {what}; it said:\n{}",
                    self.command,
                    self.printed("stderr")
                );
            }
            thread::sleep(TICK);
        }
    }

    /// Waits until it has said so on standard error.
    pub(crate) fn until_it_says(&self, words: &str) {
        let start = Instant::now();
        while !self.printed("stderr").contains(words) {
            assert!(start.elapsed() < DEADLINE, "`{}` never said: {words}", self.command);
            thread::sleep(TICK);
        }
    }

    fn printed(&self, to: &str) -> String {
        fs::read_to_string(self.output.path().join(to)).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has mostly ended and been waited for; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Outcome {
    /// It ended with exit code 0.
    pub(crate) fn succeeds(self) -> Self {
        self.exits_with(0)
    }

    /// The exit code of one that was not killed.
    pub(crate) fn code(&self) -> i32 {
        self.status.code().unwrap()
    }

    /// It ended with this exit code.
    pub(crate) fn exits_with(self, code: i32) -> Self {
        let Self { command, status, stdout, stderr, .. } = &self;
        assert_eq!(status.code(), Some(code), "`{command}` ended otherwise; it said:\n{stderr}\n{stdout}");
        self
    }

    /// It never held more than `most` bytes of memory.
    pub(crate) fn stays_within(self, most: u64) -> Self {
        let (peak, command) = (self.peak_memory, &self.command);
        assert!(peak <= most, "`{command}` held {} of at most {} MiB", peak >> 20, most >> 20);
        self
    }

    /// It was killed, not ended.
    pub(crate) fn was_killed(self) -> Self {
        let Self { command, status, stderr, .. } = &self;
        assert_eq!(status.signal(), Some(9), "`{command}` ended by itself; it said:\n{stderr}");
        self
    }
}

/// Lets real time pass.
pub(crate) fn pause(duration: Duration) {
    thread::sleep(duration);
}

/// What an idle program that is shipped has in memory altogether, its own pages most of all. One for tests is several times its size, which
/// says nothing of what it does.
const SHIPPED: u64 = 25 << 20;

/// The most memory that a running process has held, beside the pages of its program, which count as those of one that is shipped; `None` once
/// it has ended.
fn peak_memory(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let bytes = |name: &str| {
        let kib = status.lines().find_map(|line| line.strip_prefix(name))?.trim().strip_suffix(" kB")?;
        kib.parse::<u64>().ok().map(|kib| kib * 1024)
    };
    Some(bytes("VmHWM:")?.saturating_sub(bytes("RssFile:")?) + SHIPPED)
}
