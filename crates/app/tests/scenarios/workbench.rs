//! A folder with a pipeline in it, and the real binary to run on it.
//!
//! Every wait has a deadline. A process that a failing test leaves behind is killed, its folder kept to be looked at.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// How long anything may take before the test fails.
const DEADLINE: Duration = Duration::from_secs(120);
const TICK: Duration = Duration::from_millis(5);

/// A folder of its own.
pub(crate) struct Workbench {
    folder: TempDir,
}

/// A started `tidemark`.
pub(crate) struct Running {
    child: Child,
    command: String,
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

impl Workbench {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A folder with this as its `pipeline.yaml` and nothing else.
    pub(crate) fn with_pipeline(pipeline: &str) -> Self {
        let bench = Self::new();
        bench.write("pipeline.yaml", pipeline);
        bench
    }

    /// A copy of `examples/flights`.
    pub(crate) fn of_the_flights_example() -> Self {
        let bench = Self::with_pipeline(&fs::read_to_string(example("pipeline.yaml")).unwrap());
        for file in fs::read_dir(example("data")).unwrap() {
            let file = file.unwrap();
            let name = file.file_name().into_string().unwrap();
            bench.write(&format!("data/{name}"), &fs::read_to_string(file.path()).unwrap());
        }
        bench
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Adds to the end of a file, which is made when absent.
    pub(crate) fn append(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// Runs `tidemark` with `arguments`, as typed in this folder, to its end.
    pub(crate) fn tidemark(&self, arguments: &str) -> Outcome {
        self.start(arguments).ends()
    }

    /// The same with environment variables.
    pub(crate) fn tidemark_with(&self, variables: &[(&str, &str)], arguments: &str) -> Outcome {
        self.start_with(variables, arguments).ends()
    }

    /// Starts `tidemark` with `arguments`, as typed in this folder.
    pub(crate) fn start(&self, arguments: &str) -> Running {
        self.start_with(&[], arguments)
    }

    fn start_with(&self, variables: &[(&str, &str)], arguments: &str) -> Running {
        let output = tempfile::tempdir().unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_tidemark"))
            .args(arguments.split_whitespace())
            .current_dir(self.folder.path())
            .env_clear()
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(File::create(output.path().join("stdout")).unwrap())
            .stderr(File::create(output.path().join("stderr")).unwrap())
            .spawn()
            .unwrap();
        let command = format!("tidemark {arguments}");
        Running { child, command, started: Instant::now(), output, peak_memory: 0 }
    }
}

impl Drop for Workbench {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("The test's folder is kept: {}", self.folder.path().display());
            self.folder.disable_cleanup(true);
        }
    }
}

impl Running {
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

    /// Asks it to stop, as a service manager does.
    pub(crate) fn terminate(self) -> Outcome {
        // The shell's own `kill`, for there may be no program of that name.
        let kill = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.id())]).status().unwrap();
        assert!(kill.success(), "`{}` was not there any more:\n{}", self.command, self.printed("stderr"));
        self.ends()
    }

    /// Ends it on the spot, as a power cut does.
    pub(crate) fn kill(mut self) -> Outcome {
        self.child.kill().unwrap();
        self.ends()
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

/// The CSV files of nycflights13, whole.
pub(crate) fn nycflights13() -> PathBuf {
    let test_data = std::env::var_os("TIDEMARK_TEST_DATA").map(PathBuf::from);
    let test_data = test_data.unwrap_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("../test-data"));
    let folder = test_data.join("nycflights13");
    assert!(folder.exists(), "{} is missing: run `cargo xtask test --install`", folder.display());
    folder
}

/// A file of `examples/flights`.
pub(crate) fn example(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/flights").join(path)
}

/// `VmHWM` of a running process; `None` once it has ended.
fn peak_memory(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix(" kB")?;
    kib.parse::<u64>().ok().map(|kib| kib * 1024)
}
