//! Dead letters: changes that a destination could not take, each an object of its own. With it goes the hold on its keys.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Log, Playing, document, names, store::Placed};
use crate::{
    Error, ErrorKind, Result, Time,
    change::Op,
    read::Phase,
    schema::StreamName,
    write::{Delivery, WriteMode},
};

/// How many letters are read or written at once.
const AT_ONCE: usize = 16;

/// Names a dead letter of one destination: by the change, and by the shadow that could not take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LetterId {
    /// The commit that holds the change.
    pub sequence: u64,
    /// Its place there.
    pub ordinal: u64,
    /// Where it was meant for the shadow of its stream: the commit after which that began ([`Anew`](crate::write::Anew)).
    pub shadow: Option<u64>,
}

impl fmt::Display for LetterId {
    /// `42-7`, or `42-7-40` in a shadow.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.sequence, self.ordinal)?;
        self.shadow.map_or(Ok(()), |shadow| write!(f, "-{shadow}"))
    }
}

impl FromStr for LetterId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let numbers = text.split('-').map(str::parse).collect::<Result<Vec<u64>, _>>();
        match numbers.as_deref() {
            Ok(&[sequence, ordinal]) => Ok(Self { sequence, ordinal, shadow: None }),
            Ok(&[sequence, ordinal, shadow]) => Ok(Self { sequence, ordinal, shadow: Some(shadow) }),
            _ => Err(Error::config(format!("`{text}` names no dead letter"))
                .hint("give it as it is listed, such as `42-7`")),
        }
    }
}

impl Serialize for LetterId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LetterId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A change that a destination could not take, or that came after such a one with its key. Until it is written or discarded,
/// what comes later of its keys is held behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The change's name here.
    pub id: LetterId,
    /// Its stream.
    pub stream: StreamName,
    /// The letter of its [`Op`].
    pub op: char,
    /// The keys that it holds, as JSON: its record's, and the one before where the change moves it. None in a stream without a key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// The commit that it was to be played with, see [`Delivery::played`].
    pub played: u64,
    /// Whether it belongs to the initial sync.
    pub phase: Phase,
    /// The commit after which the destination began.
    pub from: u64,
    /// Where it was played into a shadow: the commit after which that began. It may have taken its place since, which the id tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_shadow: Option<u64>,
    /// Why it could not be written.
    pub error: String,
    /// The reaction that asks for.
    pub kind: ErrorKind,
    /// What a person can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The letter that holds its key, where nothing else keeps it from being written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<LetterId>,
    /// When it became a dead letter.
    pub time: Time,
    /// How often it has been tried.
    pub attempts: u64,
    /// Whether nothing had been applied to the destination yet. Otherwise it is of no account for one that has been emptied.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub at_first: bool,
    /// It is not to be written any more, and stays only until its destination has come past it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub discarded: bool,
    /// Its keys are held no more from this commit on, which truncates the stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<u64>,
    /// It is void when the shadow that began after this commit has taken the place of what it was meant for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voided_by: Option<u64>,
}

impl DeadLetter {
    /// Where it stands among the changes of its stream as they are played.
    pub fn order(&self) -> (u64, u8, u64, u64) {
        (self.played, u8::from(self.phase == Phase::Changes), self.id.sequence, self.id.ordinal)
    }

    /// How it was played, to a destination in `mode`.
    pub(crate) fn playing(&self, mode: WriteMode) -> Playing {
        let shadows = self.by_shadow.map(|from| Arc::new([(self.stream.clone(), from)].into()));
        Playing { from: self.from, mode, shadows }
    }

    /// The error that made it one.
    pub fn error(&self) -> Error {
        let error = Error::new(self.kind, self.error.clone()).of_stream(&self.stream);
        match &self.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

impl Log {
    /// The dead letters of `destination`, in the order of their names.
    pub async fn dead_letters(&self, destination: &str) -> Result<BTreeMap<LetterId, DeadLetter>> {
        let objects = self.store().objects(&names::dead_letters(destination)).await?;
        let read = stream::iter(objects).map(async |path| {
            // One that goes while we look has been seen to.
            let Some(bytes) = self.store().get(&path).await? else { return Ok(None) };
            let letter: DeadLetter = document::read(&path, &bytes).map_err(|what| {
                Error::conflict(format!("the dead letter `{path}` is damaged: {what}"))
                    .hint("restore it from a backup, or upgrade Tidemark")
            })?;
            Ok(Some((letter.id, letter)))
        });
        read.buffer_unordered(AT_ONCE).try_filter_map(async |letter| Ok(letter)).try_collect().await
    }

    /// The same, each made durable: on a disk, one of a process that died can be seen before it is, and nothing else tells of its change
    /// when the destination has come past it.
    pub(crate) async fn settled_letters(&self, destination: &str) -> Result<BTreeMap<LetterId, DeadLetter>> {
        let letters = self.dead_letters(destination).await?;
        for id in letters.keys() {
            self.store().settle(&names::dead_letter(destination, &id.to_string())).await?;
        }
        Ok(letters)
    }

    /// How many dead letters `destination` has.
    pub async fn count_dead_letters(&self, destination: &str) -> Result<usize> {
        Ok(self.store().objects(&names::dead_letters(destination)).await?.len())
    }

    /// The change of `letter`, as it was staged.
    ///
    /// Fails with [`ErrorKind::Conflict`] when the log does not hold it.
    pub async fn change_of(&self, letter: &DeadLetter) -> Result<Delivery> {
        let commit = self.commit(letter.id.sequence).await?;
        let mut staged =
            self.changes_of(&[commit], |stream, phase| stream == &letter.stream && phase == letter.phase);
        while let Some(delivery) = staged.try_next().await? {
            if let Some(row) = delivery.row_of(letter.id.ordinal) {
                return Ok(Delivery { changes: delivery.changes.slice(row, 1), ..delivery });
            }
        }
        let message = format!("the log does not hold the change of the dead letter `{}`", letter.id);
        Err(not_held(message))
    }

    /// Keeps `letters` of `destination`. They are durable when it returns.
    pub(crate) async fn keep_letters(&self, destination: &str, letters: &[DeadLetter]) -> Result<()> {
        let objects = letters.iter().map(|letter| object(destination, letter)).collect::<Result<Vec<_>>>()?;
        let kept = stream::iter(objects).map(async |(path, bytes)| {
            // What is there already is a letter of the same change, of an attempt that seemed to fail or of a process that died.
            match self.store().place(&path, bytes).await? {
                Placed::Ours => Ok(()),
                Placed::Theirs(_) => self.store().settle(&path).await,
            }
        });
        kept.buffer_unordered(AT_ONCE).try_collect().await
    }

    /// Keeps `letters` of `destination` as they are now.
    pub(crate) async fn change_letters(&self, destination: &str, letters: &[DeadLetter]) -> Result<()> {
        let objects = letters.iter().map(|letter| object(destination, letter)).collect::<Result<Vec<_>>>()?;
        let kept = stream::iter(objects).map(async |(path, bytes)| self.store().replace(&path, bytes).await);
        kept.buffer_unordered(AT_ONCE).try_collect().await
    }

    /// Forgets these letters of `destination`.
    pub(crate) async fn forget_letters(&self, destination: &str, ids: &[LetterId]) -> Result<()> {
        let paths = ids.iter().map(|id| names::dead_letter(destination, &id.to_string())).collect::<Vec<_>>();
        let forgotten = stream::iter(paths).map(async |path| self.store().delete(&path).await);
        forgotten.buffer_unordered(AT_ONCE).try_collect().await
    }
}

fn object(destination: &str, letter: &DeadLetter) -> Result<(Path, Bytes)> {
    let path = names::dead_letter(destination, &letter.id.to_string());
    let bytes = document::write(&path, letter, "a dead letter")?;
    Ok((path, bytes))
}

/// The error of whoever looks for changes of dead letters that the log does not hold.
pub(crate) fn not_held(message: String) -> Error {
    Error::conflict(message).hint(
        "what the log does not keep any more can only be discarded: `tidemark dead-letters FILE discard`",
    )
}

/// The letter of `op` as it is kept.
pub(crate) fn letter_of(op: Op) -> char {
    char::from(op.letter())
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        sync::{Arc, Mutex},
    };

    use super::*;
    use crate::{
        Time,
        log::{Settle, Store},
        world::World,
    };

    /// What was made durable once it was found.
    #[derive(Debug, Default)]
    struct Settled(Mutex<BTreeSet<Path>>);

    #[async_trait::async_trait]
    impl Settle for Settled {
        async fn settle(&self, path: &Path) -> Result<()> {
            self.0.lock().unwrap().insert(path.clone());
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_letter_of_another_process_is_made_durable_before_it_is_relied_upon() {
        let settled = Arc::new(Settled::default());
        let store = Store::memory().settled_by(settled.clone());
        let log = Log::open_or_create(store, "letters", World::real()).await.unwrap();
        let letter = DeadLetter {
            id: LetterId { sequence: 42, ordinal: 7, shadow: None },
            stream: StreamName::new("orders"),
            op: letter_of(Op::Update),
            keys: Vec::new(),
            played: 42,
            phase: Phase::Changes,
            from: 0,
            by_shadow: None,
            error: "it does not fit".to_owned(),
            kind: ErrorKind::Data,
            hint: None,
            behind: None,
            time: Time::EPOCH,
            attempts: 1,
            at_first: false,
            discarded: false,
            released: None,
            voided_by: None,
        };
        let path = names::dead_letter("d", "42-7");
        let is_settled = || settled.0.lock().unwrap().remove(&path);
        log.keep_letters("d", std::slice::from_ref(&letter)).await.unwrap();
        log.settled_letters("d").await.unwrap();
        assert!(is_settled(), "one that is read");
        log.keep_letters("d", &[DeadLetter { attempts: 2, ..letter }]).await.unwrap();
        assert!(is_settled(), "one that is there when the same is to be kept");
    }

    #[test]
    fn a_letter_is_named_by_its_change_and_its_shadow() {
        let live = LetterId { sequence: 42, ordinal: 7, shadow: None };
        let shadow = LetterId { shadow: Some(40), ..live };
        assert_eq!((live.to_string(), shadow.to_string()), ("42-7".into(), "42-7-40".into()));
        for id in [live, shadow] {
            assert_eq!(id.to_string().parse::<LetterId>().unwrap(), id);
        }
        for text in ["", "42", "42-", "-42-7", "a-b", "1-2-3-4"] {
            assert_eq!(text.parse::<LetterId>().unwrap_err().kind(), ErrorKind::Config, "{text}");
        }
    }
}
