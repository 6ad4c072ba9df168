//! A small disk in a mount namespace of the test's own, which takes no privileges where users may make namespaces.

use std::{
    fs::{self, File, Permissions},
    io::{BufRead, BufReader, ErrorKind, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use crate::{
    process::{Outcome, Running},
    workbench::Workbench,
};

/// What the system says when it is full.
pub(crate) const FULL: &str = "No space left on device";

/// How a namespace is made, as `unshare` and `nsenter` call what is its own.
type Way = (&'static [&'static str], &'static [&'static str]);

const WAYS: [Way; 2] = [
    (&["--user", "--map-root-user", "--mount"], &["--user", "--mount", "--preserve-credentials"]),
    (&["--mount"], &["--mount"]),
];

/// What its keeper does then.
const KEEP: &str = "echo mounted && read -r end";

/// A small disk at `staging` in a workbench, which only processes started by it see.
pub(crate) struct Disk {
    pub(crate) bench: Workbench,
    /// Holds the namespace until its standard input closes.
    keeper: Child,
    /// What of namespaces it has of its own, as `nsenter` calls it.
    entering: &'static [&'static str],
}

impl Disk {
    /// A workbench with this pipeline, whose `staging` is a disk made with these options of `mount -t tmpfs`.
    pub(crate) fn with_pipeline(pipeline: &str, options: &str) -> Self {
        Self::under(Workbench::with_pipeline(pipeline), options, &WAYS, KEEP)
    }

    /// The same without a pipeline, for a database server too: where that runs as somebody else, so does whoever keeps the disk, and
    /// [`path`](Self::path) is there for both.
    pub(crate) fn for_a_server(options: &str) -> Self {
        let bench = Workbench::new();
        fs::set_permissions(bench.path(""), Permissions::from_mode(0o755)).unwrap();
        if fs::metadata("/proc/self").unwrap().uid() == 0 {
            let keep =
                format!("exec setpriv --reuid=postgres --regid=postgres --clear-groups sh -c '{KEEP}'");
            Self::under(bench, &format!("uid=postgres,{options}"), &WAYS[1..], &keep)
        } else {
            Self::under(bench, options, &WAYS, KEEP)
        }
    }

    fn under(bench: Workbench, options: &str, ways: &[Way], keep: &str) -> Self {
        let place = bench.path("staging");
        fs::create_dir(&place).unwrap();
        for (unsharing, entering) in ways {
            let script = format!(r#"mount -t tmpfs -o "$1" tidemark "$2" && {keep}"#);
            let keeper = Command::new("unshare")
                .args(*unsharing)
                .args(["sh", "-c", &script, "keeper", options])
                .arg(&place)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn();
            // In the package `util-linux`, as `nsenter` is.
            let mut keeper = keeper.unwrap();
            let mut said = String::new();
            BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut said).unwrap();
            if said == "mounted\n" {
                return Self { bench, keeper, entering };
            }
            keeper.wait().unwrap();
        }
        panic!(
            "this test mounts a disk of its own, which needs the programs `unshare`, `nsenter` and `mount`, and either users \
             that may make namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, \
             kernel.apparmor_restrict_unprivileged_userns=0; in Docker: --security-opt seccomp=unconfined --security-opt \
             apparmor=unconfined) or the capability SYS_ADMIN"
        );
    }

    fn entered(&self, program: &str) -> Command {
        let mut command = Command::new("/usr/bin/nsenter");
        command.args(self.entering).arg(format!("--target={}", self.keeper.id()));
        // It enters at the root, and becomes the program in the workbench.
        command.args(["--", "/bin/sh", "-c", r#"cd "$1" && shift && exec "$@""#, "enter"]);
        command.arg(self.bench.path("")).arg(program);
        command
    }

    pub(crate) fn start(&self, arguments: &str) -> Running {
        let program = self.entered(env!("CARGO_BIN_EXE_tidemark"));
        Running::start_by(program, &self.bench.path(""), &[], arguments)
    }

    pub(crate) fn tidemark(&self, arguments: &str) -> Outcome {
        self.start(arguments).ends()
    }

    /// Runs a script where the disk is, as the user that mounted it.
    pub(crate) fn script(&self, script: &str) {
        let mut command = self.entered("/bin/sh");
        let status = command.args(["-ec", script]).status().unwrap();
        assert!(status.success(), "`{script}` failed");
    }

    /// A file or folder on the disk, as this process can see it.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        let place = self.bench.path("staging");
        let root = PathBuf::from(format!("/proc/{}/root", self.keeper.id()));
        root.join(place.strip_prefix("/").unwrap()).join(path)
    }

    /// Takes up all of it but about so many bytes.
    pub(crate) fn fill(&self, left: u64) {
        let mut filler = File::create(self.path("filler")).unwrap();
        let block = [0; 4096];
        loop {
            match filler.write_all(&block) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => panic!("cannot fill the disk: {error}"),
            }
        }
        let length = filler.metadata().unwrap().len();
        filler.set_len(length.saturating_sub(left)).unwrap();
    }

    pub(crate) fn free(&self) {
        fs::remove_file(self.path("filler")).unwrap();
    }

    pub(crate) fn status(&self) -> String {
        self.tidemark("status pipeline.yaml").succeeds().stdout
    }

    /// Fails when something is left that was never finished.
    pub(crate) fn assert_nothing_torn(&self) {
        let mut folders = vec![self.path("")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                assert!(!entry.file_name().to_string_lossy().contains('#'), "{}", entry.path().display());
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                }
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        self.keeper.wait().unwrap();
    }
}
