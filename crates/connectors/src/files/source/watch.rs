//! What this process has seen of files: spares looking into those that did not change, and tells when one is at rest.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use tidemark_engine::{Result, Time};

use super::{
    cursor::Mark,
    fingerprint::{Fingerprint, Trace},
    folder::{Found, unreadable},
};

/// A change within this time may leave the time of the file as it was.
const CLOCK_GRAIN: Duration = Duration::from_secs(2);

/// What a file begins with, compared with what was read under a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beginning {
    /// Just that.
    Same,
    /// Something else, or less.
    Other,
    /// The file is not there any more, or another has its name: it was renamed or deleted since the folder was listed.
    Absent,
}

/// The files of a stream as they were.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Files that were compared with a mark and did hold what was read.
    verified: HashMap<String, (Found, Fingerprint)>,
    /// Files with an unfinished end, and since when they are as they are.
    unfinished: HashMap<String, (Found, Time)>,
    /// Files at rest whose end is not whole.
    broken: HashMap<String, Found>,
}

impl Watch {
    /// Forgets all files but those that are there.
    pub(super) fn keep(&mut self, found: &[Found]) {
        let found = found.iter().map(|file| file.path.as_str()).collect::<HashSet<_>>();
        let is_there = |path: &String| found.contains(path.as_str());
        self.verified.retain(|path, _| is_there(path));
        self.unfinished.retain(|path, _| is_there(path));
        self.broken.retain(|path, _| is_there(path));
    }

    /// Notes that the end of `file` is not whole: there is no use in looking again before it changes.
    pub(super) fn put_aside(&mut self, file: &Found) {
        self.broken.insert(file.path.clone(), file.clone());
    }

    /// Whether `file` is as it was when its end was found not to be whole.
    pub(super) fn is_aside(&self, file: &Found) -> bool {
        self.broken.get(&file.path) == Some(file)
    }

    /// Whether `file` still begins with what was read under `mark`.
    pub(super) fn compare(&mut self, file: &Found, mark: &Mark, now: Time) -> Result<Beginning> {
        // A Parquet file is read as a whole; one that grew is another.
        if file.size < mark.offset || (mark.rows.is_some() && file.size != mark.offset) {
            return Ok(Beginning::Other);
        }
        let verified = self.verified.get(&file.path);
        if verified.is_some_and(|(seen, fingerprint)| seen == file && *fingerprint == mark.fingerprint) {
            return Ok(Beginning::Same);
        }
        let Some(mut open) = file.open()? else { return Ok(Beginning::Absent) };
        let trace = Trace::load(&mut open, mark.offset).map_err(|error| unreadable(&file.location, error))?;
        let holds = trace.is_some_and(|trace| trace.fingerprint() == mark.fingerprint);
        if holds && now.micros_since(file.modified) > micros(CLOCK_GRAIN) {
            self.verified.insert(file.path.clone(), (file.clone(), mark.fingerprint.clone()));
        }
        Ok(if holds { Beginning::Same } else { Beginning::Other })
    }

    /// How long until `file`, whose end is unfinished, has not been written to for as long as `at_rest`; `None` when it
    /// has. The time it was written at counts, or, where that is wrong, how long it has been watched without a change.
    pub(super) fn rest(&mut self, file: &Found, at_rest: Duration, now: Time) -> Option<Duration> {
        let (seen, since) = self.unfinished.entry(file.path.clone()).or_insert_with(|| (file.clone(), now));
        if seen != file {
            (*seen, *since) = (file.clone(), now);
        }
        let rested = now.micros_since(file.modified).max(now.micros_since(*since));
        let left = micros(at_rest).saturating_sub(rested);
        (left > 0).then(|| Duration::from_micros(left))
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
