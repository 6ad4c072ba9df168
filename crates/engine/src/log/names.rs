//! What the objects of a log are called. Nobody else knows.
//!
//! | Name | Object |
//! |---|---|
//! | `pipeline.json` | the log's identity |
//! | `schemas/<stream>/<digest>.json` | one schema |
//! | `data/<stream>/init\|cdc/<time>-<epoch>-<n>-<writer>.<ext>` | one segment |
//! | `data/<stream>/init\|cdc/<time>-L<layout>-<n>-<writer>.<ext>` | one segment of folded commits, meant for an entry of the layout |
//! | `log/<folder>/<sequence>` | one commit; ten thousand to a folder |
//! | `volumes/<first>-<last>-L<layout>-<writer>` | what is left of folded commits |
//! | `layout/<n>` | what stands where |
//! | `retired/<writer>` | a writer that has ended in good order |
//! | `positions/<destination>/<n>` | where a destination stands, as it last said |
//! | `ledgers/<destination>/<n>` | where a destination stands that cannot keep that itself |
//! | `requests/<time>-<name>` | what somebody has asked for |
//! | `dead-letters/<destination>/<sequence>-<ordinal>.json` | a change that a destination could not take; one of a shadow has a third number |
//! | `keys/<n>` | the keys that all others are encrypted with, themselves encrypted |
//! | `probes/<time>-<name>` | what tries out an object store: removed at once, or after an hour by the next |
//! | `scratch/<base>/<part>-<n>` | what is known of keys while a base is made; nobody's when that is over |
//! | `state/<stream>/<time>-<epoch>-<n>-<writer>` | what a read strategy compares a stream with; means nothing until a cursor names it |
//! | `run.lock` | held by the running process (local folders only) |

use object_store::path::{Path, PathPart};

use crate::{Digest, Time, read::Phase, schema::StreamName};

/// Commits to a folder.
const FOLDER: u64 = 10_000;
/// Bytes that one part of a path may have; file systems commonly take 255.
const LONGEST_PART: usize = 200;
/// Bytes that the beginning of a longer one keeps.
const LONGEST_HEAD: usize = 150;

pub(super) const IDENTITY: &str = "pipeline.json";
/// The content of an object that says that a writer has ended.
pub(super) const RETIRED: &str = "retired";
pub(super) const LOCK: &str = "run.lock";

pub(super) fn identity() -> Path {
    Path::from(IDENTITY)
}

pub(super) fn schemas() -> Path {
    Path::from("schemas")
}

pub(super) fn schema(stream: &StreamName, digest: Digest) -> Path {
    Path::from_iter([part("schemas"), part(stream.as_str()), part(&format!("{digest}.json"))])
}

/// A writer's own name is part of a segment's: two writers that both believe in an epoch cannot overwrite each other.
pub(super) struct SegmentName<'a> {
    pub(super) stream: &'a StreamName,
    pub(super) phase: Phase,
    pub(super) time: Time,
    pub(super) epoch: u64,
    pub(super) number: u64,
    pub(super) writer: &'a str,
    pub(super) extension: &'a str,
}

pub(super) fn segment(name: &SegmentName<'_>) -> Path {
    let SegmentName { stream, phase, time, epoch, number, writer, extension } = name;
    let file = format!("{}-{epoch:06}-{number:06}-{writer}.{extension}", time.compact());
    Path::from_iter([part("data"), part(stream.as_str()), part(folder_of(*phase)), part(&file)])
}

fn folder_of(phase: Phase) -> &'static str {
    match phase {
        Phase::InitialSync => "init",
        Phase::Changes => "cdc",
    }
}

pub(super) fn data() -> Path {
    Path::from("data")
}

/// The epoch in a segment's name; `None` for a stranger's file.
pub(super) fn segment_epoch(path: &Path) -> Option<u64> {
    path.filename()?.split('-').nth(1)?.parse().ok()
}

/// Like a segment's: nobody can overwrite what another writer's cursor names.
pub(super) struct StateName<'a> {
    pub(super) stream: &'a StreamName,
    pub(super) time: Time,
    pub(super) epoch: u64,
    pub(super) number: u64,
    pub(super) writer: &'a str,
}

pub(super) fn state(name: &StateName<'_>) -> Path {
    let StateName { stream, time, epoch, number, writer } = name;
    states(stream).join(part(&format!("{}-{epoch:06}-{number:06}-{writer}", time.compact())))
}

pub(super) fn all_states() -> Path {
    Path::from("state")
}

pub(super) fn states(stream: &StreamName) -> Path {
    Path::from_iter([part("state"), part(stream.as_str())])
}

/// The epoch in a state's name; `None` for a stranger's file.
pub(super) fn state_epoch(path: &Path) -> Option<u64> {
    segment_epoch(path)
}

pub(super) fn commits() -> Path {
    Path::from("log")
}

pub(super) fn commit(sequence: u64) -> Path {
    let folder = format!("{:08}", sequence / FOLDER);
    Path::from_iter([part("log"), part(&folder), part(&format!("{sequence:012}"))])
}

pub(super) fn all_positions() -> Path {
    Path::from("positions")
}

pub(super) fn positions(destination: &str) -> Path {
    Path::from_iter([part("positions"), part(destination)])
}

pub(super) fn position(destination: &str, number: u64) -> Path {
    mark(&positions(destination), number)
}

/// A mark in the folder of a destination.
pub(super) fn mark(folder: &Path, number: u64) -> Path {
    folder.clone().join(part(&format!("{number:012}")))
}

pub(super) fn all_ledgers() -> Path {
    Path::from("ledgers")
}

pub(super) fn ledger(destination: &str) -> Path {
    Path::from_iter([part("ledgers"), part(destination)])
}

/// An entry in the folder of a destination.
pub(super) fn ledger_entry(folder: &Path, number: u64) -> Path {
    folder.clone().join(part(&format!("{number:012}")))
}

pub(super) fn requests() -> Path {
    Path::from("requests")
}

pub(super) fn request(id: &str) -> Path {
    Path::from_iter([part("requests"), part(id)])
}

pub(super) fn probes() -> Path {
    Path::from("probes")
}

pub(super) fn probe(id: &str) -> Path {
    Path::from_iter([part("probes"), part(id)])
}

pub(super) fn dead_letters(destination: &str) -> Path {
    Path::from_iter([part("dead-letters"), part(destination)])
}

pub(super) fn dead_letter(destination: &str, id: &str) -> Path {
    Path::from_iter([part("dead-letters"), part(destination), part(&format!("{id}.json"))])
}

/// A segment of folded commits: its name begins with the time of the first.
pub(super) struct FoldedName<'a> {
    pub(super) stream: &'a StreamName,
    pub(super) phase: Phase,
    pub(super) time: Time,
    /// The entry of the layout that it is meant for.
    pub(super) layout: u64,
    pub(super) number: u64,
    pub(super) writer: &'a str,
    pub(super) extension: &'a str,
}

pub(super) fn folded_segment(name: &FoldedName<'_>) -> Path {
    let FoldedName { stream, phase, time, layout, number, writer, extension } = name;
    let file = format!("{}-L{layout:06}-{number:06}-{writer}.{extension}", time.compact());
    Path::from_iter([part("data"), part(stream.as_str()), part(folder_of(*phase)), part(&file)])
}

/// The entry of the layout that a volume or a segment of folded commits is meant for; `None` for other objects.
pub(super) fn meant_for(path: &Path) -> Option<u64> {
    let name = path.filename()?;
    name.split('-').find_map(|part| part.strip_prefix('L'))?.parse().ok()
}

pub(super) fn all_scratch() -> Path {
    Path::from("scratch")
}

pub(super) fn scratch(base: &str, partition: usize, number: u64) -> Path {
    Path::from_iter([part("scratch"), part(base), part(&format!("{partition:06}-{number:06}"))])
}

pub(super) fn volumes() -> Path {
    Path::from("volumes")
}

pub(super) fn volume(first: u64, last: u64, layout: u64, writer: &str) -> Path {
    Path::from_iter([part("volumes"), part(&format!("{first:012}-{last:012}-L{layout:06}-{writer}"))])
}

pub(super) fn layouts() -> Path {
    Path::from("layout")
}

pub(super) fn layout(number: u64) -> Path {
    Path::from_iter([part("layout"), part(&format!("{number:012}"))])
}

pub(super) fn retired() -> Path {
    Path::from("retired")
}

pub(super) fn retired_writer(writer: &str) -> Path {
    Path::from_iter([part("retired"), part(writer)])
}

pub(super) fn keys() -> Path {
    Path::from("keys")
}

pub(super) fn key_ring(number: u64) -> Path {
    Path::from_iter([part("keys"), part(&format!("{number:08}"))])
}

pub(super) fn all_dead_letters() -> Path {
    Path::from("dead-letters")
}

/// What an object is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ObjectKind {
    Identity,
    Schema,
    Segment,
    Commit(u64),
    Volume,
    Layout,
    Retired,
    Mark,
    Ledger,
    Request,
    Letter,
    Keys,
    Scratch,
    State,
    Probe,
    Lock,
}

/// What the object at `path` is; `None` for a stranger's file.
pub(super) fn kind(path: &Path) -> Option<ObjectKind> {
    let parts: Vec<_> = path.parts().collect();
    let parts: Vec<&str> = parts.iter().map(|part| part.as_ref()).collect();
    Some(match parts.as_slice() {
        [IDENTITY] => ObjectKind::Identity,
        [LOCK] => ObjectKind::Lock,
        ["schemas", _, _] => ObjectKind::Schema,
        ["data", _, "init" | "cdc", _] => ObjectKind::Segment,
        ["log", _, _] => ObjectKind::Commit(number(path).filter(|sequence| commit(*sequence) == *path)?),
        ["volumes", _] => meant_for(path).map(|_| ObjectKind::Volume)?,
        ["layout", _] => number(path).map(|_| ObjectKind::Layout)?,
        ["retired", _] => ObjectKind::Retired,
        ["positions", _, _] => number(path).map(|_| ObjectKind::Mark)?,
        ["ledgers", _, _] => number(path).map(|_| ObjectKind::Ledger)?,
        ["requests", _] => ObjectKind::Request,
        ["dead-letters", _, _] => ObjectKind::Letter,
        ["keys", _] => number(path).map(|_| ObjectKind::Keys)?,
        ["scratch", _, _] => ObjectKind::Scratch,
        ["state", _, _] => state_epoch(path).map(|_| ObjectKind::State)?,
        ["probes", _] => ObjectKind::Probe,
        _ => return None,
    })
}

/// The number that the last part of a path spells; `None` for a stranger's file.
pub(super) fn number(path: &Path) -> Option<u64> {
    let name = path.filename()?;
    (name.len() >= 8 && name.bytes().all(|byte| byte.is_ascii_digit())).then(|| name.parse().ok())?
}

/// One part of a path; what a path cannot hold (`/`, `%`, control characters, `.` and `..`) is percent-encoded. A name too
/// long for a file system is cut, and told apart from its like by a digest of all of it.
fn part(text: &str) -> PathPart<'_> {
    let encoded = PathPart::from(text);
    if encoded.as_ref().len() <= LONGEST_PART {
        return encoded;
    }
    let digest = Digest::of(text.as_bytes()).to_string();
    let head = text.char_indices().take_while(|(at, c)| (at + c.len_utf8()) * 3 <= LONGEST_HEAD);
    PathPart::from(format!("{}~{}", head.map(|(_, c)| c).collect::<String>(), &digest[..16]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_stream_names_stay_in_their_folder() {
        for name in ["../../etc", "a/b", ".", "..", "a%2Fb", "tab\tle"] {
            let path = schema(&StreamName::new(name), Digest::ZERO);
            assert_eq!(path.parts().count(), 3, "{path}");
            assert!(path.parts().all(|part| !matches!(part.as_ref(), "." | "..")), "{path}");
        }
        assert_ne!(
            schema(&StreamName::new("a/b"), Digest::ZERO),
            schema(&StreamName::new("a%2Fb"), Digest::ZERO)
        );
    }

    #[test]
    fn long_names_fit_and_stay_apart() {
        let path = |name: &str| schema(&StreamName::new(name), Digest::ZERO);
        let (one, two) = ("\u{6570}".repeat(300) + "1", "\u{6570}".repeat(300) + "2");
        assert!(path(&one).parts().all(|part| part.as_ref().len() <= LONGEST_PART));
        assert_ne!(path(&one), path(&two));
    }

    #[test]
    fn commit_names_sort_by_sequence_and_read_back() {
        assert_eq!(commit(1).as_ref(), "log/00000000/000000000001");
        assert_eq!(commit(10_000).as_ref(), "log/00000001/000000010000");
        assert_eq!(number(&commit(12_345)), Some(12_345));
        assert_eq!(number(&Path::from("log/00000000/000000000001#1")), None);
    }

    #[test]
    fn a_segment_tells_its_epoch() {
        let name = SegmentName {
            stream: &StreamName::new("a-b"),
            phase: Phase::InitialSync,
            time: Time::EPOCH,
            epoch: 7,
            number: 3,
            writer: "w",
            extension: "parquet",
        };
        let path = segment(&name);
        assert_eq!(path.as_ref(), "data/a-b/init/19700101T000000.000000Z-000007-000003-w.parquet");
        assert_eq!(segment_epoch(&path), Some(7));
        assert_eq!(meant_for(&path), None);
    }

    #[test]
    fn a_state_tells_its_epoch_whatever_its_stream_is_called() {
        let stream = StreamName::new("a-9/..");
        let name = StateName { stream: &stream, time: Time::EPOCH, epoch: 7, number: 3, writer: "w" };
        let path = state(&name);
        assert_eq!(path.as_ref(), "state/a-9%2F../19700101T000000.000000Z-000007-000003-w");
        assert_eq!((state_epoch(&path), kind(&path)), (Some(7), Some(ObjectKind::State)));
        assert_eq!(kind(&Path::from("state/a/notes.txt")), None);
    }

    #[test]
    fn what_folding_makes_tells_its_layout() {
        let name = FoldedName {
            stream: &StreamName::new("a-L9"),
            phase: Phase::Changes,
            time: Time::EPOCH,
            layout: 12,
            number: 3,
            writer: "w",
            extension: "parquet",
        };
        let path = folded_segment(&name);
        assert_eq!(path.as_ref(), "data/a-L9/cdc/19700101T000000.000000Z-L000012-000003-w.parquet");
        assert_eq!((meant_for(&path), segment_epoch(&path)), (Some(12), None));
        assert_eq!(meant_for(&volume(1, 20, 4, "w")), Some(4));
    }
}
