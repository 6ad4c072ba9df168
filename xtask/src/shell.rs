//! Running other programs.

use std::{ffi::OsStr, fmt::Write, path::Path, process::Command};

use crate::Result;

/// A command of `program` with `arguments`.
pub(crate) fn command<A: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = A>,
) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// Runs to the end, its output where ours goes.
pub(crate) fn run(command: &mut Command) -> Result {
    let status = command.status().map_err(|error| format!("`{}` does not start: {error}", line(command)))?;
    if status.success() { Ok(()) } else { Err(format!("`{}` failed: {status}", line(command)).into()) }
}

/// Runs to the end and gives what it printed.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let output = command.output().map_err(|error| format!("`{}` does not start: {error}", line(command)))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`{}` failed: {}\n{errors}", line(command), output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Whether it runs and ends well; what it prints is dropped.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// The command as one would type it; of long arguments the first line.
pub(crate) fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut line = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    for argument in command.get_args() {
        let argument = argument.to_string_lossy();
        let (first_line, more) =
            argument.split_once('\n').map_or((&*argument, ""), |(first, _)| (first, " ..."));
        // Writing to a string cannot fail.
        let _ = write!(line, " {first_line}{more}");
    }
    line
}
