//! The keys that staging is encrypted with, from where the pipeline file says they are.

use std::{
    fs,
    io::Read,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use futures::channel::oneshot;
use tidemark_engine::{
    Error, Result,
    log::{MasterKey, MasterKeys},
    world::World,
};

use crate::pipeline_file::{Encryption, KeySource, Pipeline};

/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(10);
/// How much a command may print; no key is longer, and no complaint needs more.
const LONGEST: u64 = 16 << 10;

/// Fetches the keys of `pipeline`; `None` when it does not encrypt.
pub(super) async fn fetch(pipeline: &Pipeline) -> Result<Option<MasterKeys>> {
    let Some(Encryption { key, previous }) = &pipeline.staging.encryption else { return Ok(None) };
    let current = fetch_one(key, pipeline, "the key of `staging.encryption`").await?;
    let mut before = Vec::with_capacity(previous.len());
    for (index, source) in previous.iter().enumerate() {
        let name = format!("item {} of `previous` of `staging.encryption`", index + 1);
        before.push(fetch_one(source, pipeline, &name).await?);
    }
    MasterKeys::new(current, before).map(Some)
}

async fn fetch_one(source: &KeySource, pipeline: &Pipeline, name: &str) -> Result<MasterKey> {
    let key = match source {
        KeySource::Typed(key) => MasterKey::parse(key.expose()),
        KeySource::File(path) => from_file(path),
        KeySource::Command(command) => {
            let said = from_command(command, &pipeline.home.folder, PATIENCE).await;
            // What it complained of may hold what it was given.
            said.map_err(|error| hidden(pipeline, error))
        }
    };
    key.map_err(|error| error.context(name))
}

fn hidden(pipeline: &Pipeline, error: Error) -> Error {
    let shown = Error::new(error.kind(), pipeline.origin.hide(&error.to_string()));
    match error.hint_text() {
        Some(hint) => shown.hint(pipeline.origin.hide(hint)),
        None => shown,
    }
}

fn from_file(path: &Path) -> Result<MasterKey> {
    let text = fs::read_to_string(path).map_err(|error| {
        Error::config(format!("the file `{}` cannot be read", path.display()))
            .hint("name a file that holds the key and that this user may read")
            .source(error)
    })?;
    MasterKey::parse(&text).map_err(|error| error.context(format!("the file `{}`", path.display())))
}

/// Runs `command` in `folder` for no longer than `patience` and takes what it prints.
async fn from_command(command: &[String], folder: &Path, patience: Duration) -> Result<MasterKey> {
    let world = World::real();
    // The arguments are not for everybody to see.
    let program = command.first().map_or("", String::as_str);
    let failed = |what: &str| Error::unavailable(format!("the command `{program}` {what}"));
    let mut child = Command::new(program)
        .args(command.iter().skip(1))
        .current_dir(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| {
            Error::config(format!("the command `{program}` cannot be run"))
                .hint("give `key_command` as a list of a program and its arguments: [program, argument]")
                .source(error)
        })?;
    let (printed, complained) = (read(child.stdout.take()), read(child.stderr.take()));
    let ended = async {
        loop {
            match child.try_wait() {
                Ok(Some(status)) => break Ok(status),
                Ok(None) => world.sleep(LOOK).await,
                Err(error) => break Err(failed("cannot be waited for").source(error)),
            }
        }
    };
    let outcome = async { Ok::<_, Error>((ended.await?, printed.await, complained.await)) };
    let outcome = tokio::select! {
        outcome = outcome => Some(outcome?),
        () = world.sleep(patience) => None,
    };
    let Some((status, printed, complained)) = outcome else {
        // It has ended already, or does so now; either way it is not waited for any longer.
        drop(child.kill());
        drop(child.wait());
        return Err(failed(&format!("did not end within {} s", patience.as_secs())));
    };
    if !status.success() {
        let complaint = String::from_utf8_lossy(&complained.unwrap_or_default()).trim().to_owned();
        let failure = failed(&format!("ended with {status}"));
        return Err(if complaint.is_empty() { failure } else { failure.source(complaint) });
    }
    let printed = printed.unwrap_or_default();
    // What is no text is no key either.
    let text = std::str::from_utf8(&printed).unwrap_or("?");
    MasterKey::parse(text).map_err(|error| error.context(format!("what the command `{program}` printed")))
}

/// Reads what comes out of `pipe`, on a thread that nobody waits for: a child of the command may hold the pipe for ever.
fn read(pipe: Option<impl Read + Send + 'static>) -> oneshot::Receiver<Vec<u8>> {
    let (give, take) = oneshot::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What broke off is no key, and is told as such.
        let _ = pipe.map(|pipe| pipe.take(LONGEST).read_to_end(&mut bytes));
        drop(give.send(bytes));
    });
    take
}

#[cfg(test)]
mod tests {
    use tidemark_engine::ErrorKind;

    use super::*;

    async fn say(script: &str) -> Result<MasterKey> {
        let command = ["sh", "-c", script].map(str::to_owned);
        from_command(&command, Path::new(""), PATIENCE).await
    }

    #[tokio::test]
    async fn a_command_prints_the_key() {
        let key = MasterKey::parse(&"ab".repeat(32)).unwrap();
        assert_eq!(say(&format!("echo {}", "ab".repeat(32))).await.unwrap().id(), key.id());
    }

    #[tokio::test]
    async fn what_it_complains_of_is_shown_and_what_it_prints_is_not() {
        let error = say("echo s3cret; echo 'the vault is sealed' >&2; exit 3").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("exit status: 3: the vault is sealed"), "{error}");
        assert!(!format!("{error:?}").contains("s3cret"));
        let error = say("echo s3cret; echo 'all is well' >&2").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        assert_eq!(say("printf '\\377'").await.unwrap_err().kind(), ErrorKind::Config);
        // One that prints without end is cut off, and ends.
        assert_eq!(say("yes || true").await.unwrap_err().kind(), ErrorKind::Config);
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let command = ["no-such-program".to_owned(), "s3cret".to_owned()];
        let error = from_command(&command, Path::new("/"), PATIENCE).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("`no-such-program`") && !error.to_string().contains("s3cret"));
    }

    #[tokio::test]
    async fn one_that_does_not_end_is_ended() {
        let command = ["sh", "-c", "exec sleep 3600"].map(str::to_owned);
        let error = from_command(&command, Path::new(""), Duration::from_secs(1)).await.unwrap_err();
        assert!(error.to_string().contains("did not end within 1 s"), "{error}");
    }
}
