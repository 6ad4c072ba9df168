//! A server process that cannot outlive us.

use std::{
    fs::File,
    io::Write,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
};

/// Runs a server, waits for an order, ends the server by that signal. Our end of its standard input closes whenever and however
/// this process ends; without an order the server ends at once and its folder is removed.
const SCRIPT: &str = r#"
folder=$1 sudden=$2; shift 2
"$@" </dev/null & server=$!
read -r signal
kill -s "${signal:-$sudden}" "$server"
wait "$server"
[ "$signal" ] || rm -rf "$folder"
"#;

/// A running server. Dropping it ends the server at once and removes its folder.
pub(crate) struct Guard {
    shell: Child,
}

impl Guard {
    /// Starts `server`, whose data is in `folder` and whose output goes to `log`. `sudden` is the signal that ends it at once: a shell
    /// has what it runs in the background ignore `INT` and `QUIT`, unless that knows what to do with them.
    pub(crate) fn start(server: &[String], folder: &Path, log: &File, sudden: &str) -> Self {
        let shell = Command::new("sh")
            .args(["-c", SCRIPT, "guard"])
            .arg(folder)
            .arg(sudden)
            .args(server)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log.try_clone().unwrap())
            // An interrupt at the terminal is for the test alone; the server then ends in good order, with it.
            .process_group(0)
            .spawn()
            .expect("`sh` starts");
        Self { shell }
    }

    /// Ends the server by `signal` (`INT`, `QUIT`) and returns when it has ended. Its folder stays.
    pub(crate) fn end(mut self, signal: &str) {
        let mut orders = self.shell.stdin.take().expect("orders are piped");
        writeln!(orders, "{signal}").expect("the guard takes an order");
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        self.shell.wait().expect("the guard ends");
    }
}
