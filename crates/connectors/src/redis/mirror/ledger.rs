//! Where the destination stands, and whose it is: a hash, changed in the transaction of the data.

use std::collections::HashMap;

use redis::{Cmd, cmd};
use tidemark_engine::{Digest, Error, LogId, Position, Result, write::Standing};

/// What the hash holds.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger {
    fields: HashMap<String, String>,
}

/// Under which epoch a process has taken the destination, and what it calls itself.
///
/// A server that comes back without its last writes has an older epoch, perhaps one that two processes have taken: the name tells them
/// apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tenure {
    pub(super) epoch: u64,
    pub(super) owner: String,
}

impl From<HashMap<String, String>> for Ledger {
    fn from(fields: HashMap<String, String>) -> Self {
        Self { fields }
    }
}

impl Ledger {
    fn get(&self, field: &str) -> Option<&str> {
        self.fields.get(field).map(String::as_str)
    }

    fn epoch(&self) -> u64 {
        self.get("epoch").and_then(|epoch| epoch.parse().ok()).unwrap_or_default()
    }

    /// The epoch under which `owner` takes the destination that it may have held under `former`.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Conflict`] where somebody else has taken it since.
    pub(super) fn next(&self, former: Option<u64>, owner: &str, destination: &str) -> Result<Tenure> {
        let is_lost = |former| self.get("owner") != Some(owner) && self.epoch() >= former;
        if former.is_some_and(is_lost) {
            return Err(lost(destination));
        }
        Ok(Tenure { epoch: self.epoch().max(former.unwrap_or_default()) + 1, owner: owner.to_owned() })
    }

    /// Fails unless the destination is that of `tenure`.
    pub(super) fn check(&self, tenure: &Tenure, destination: &str) -> Result<()> {
        let is_ours = self.get("owner") == Some(&tenure.owner) && self.epoch() == tenure.epoch;
        if is_ours {
            return Ok(());
        }
        if self.epoch() < tenure.epoch {
            return Err(Error::unavailable(format!(
                "the server does not have what destination `{destination}` last wrote"
            ))
            .hint("nothing is to be done: it goes on from where the server stands"));
        }
        Err(lost(destination))
    }

    /// Fails unless the destination stands at `begin`. One to which nothing has been applied may begin anywhere.
    pub(super) fn check_position(&self, begin: &Position, destination: &str) -> Result<()> {
        match self.standing(destination)? {
            Some(standing) if standing.position != *begin => Err(lost(destination)),
            _ => Ok(()),
        }
    }

    /// Where the destination stands; `None` when nothing has been applied.
    pub(super) fn standing(&self, destination: &str) -> Result<Option<Standing>> {
        let Some(log) = self.get("log") else { return Ok(None) };
        let unreadable = || {
            Error::conflict(format!("the position of destination `{destination}` in Redis is damaged"))
                .hint("restore the server's data from a backup, or give the destination a new name and `key`")
        };
        let sequence = self.get("sequence").and_then(|sequence| sequence.parse().ok());
        let hash = self.get("hash").and_then(Digest::parse);
        let (sequence, hash) = sequence.zip(hash).ok_or_else(unreadable)?;
        let position = Position { log: LogId::new(log), sequence, hash };
        Ok(Some(Standing::with_notes(position, self.get("notes")).ok_or_else(unreadable)?))
    }
}

impl Tenure {
    /// What notes under `key` that the destination is taken.
    pub(super) fn note(&self, key: &str) -> Cmd {
        let mut note = cmd("HSET");
        note.arg(key).arg("epoch").arg(self.epoch).arg("owner").arg(&self.owner);
        note
    }
}

/// What notes under `key` that the destination stands at `end`.
pub(super) fn note_position(key: &str, end: &Standing) -> Result<Vec<Cmd>> {
    let mut note = cmd("HSET");
    let position = &end.position;
    note.arg(key).arg("log").arg(position.log.as_str()).arg("sequence").arg(position.sequence);
    note.arg("hash").arg(position.hash.to_string());
    let Some(notes) = end.notes()? else {
        let mut forget = cmd("HDEL");
        forget.arg(key).arg("notes");
        return Ok(vec![note, forget]);
    };
    note.arg("notes").arg(notes);
    Ok(vec![note])
}

/// That another process has opened the destination, or that it stands elsewhere.
pub(super) fn lost(destination: &str) -> Error {
    Error::conflict(format!("another process has taken over destination `{destination}`"))
        .hint("let only one `tidemark run` write to it")
}

#[cfg(test)]
mod tests {
    use tidemark_engine::ErrorKind;

    use super::*;

    fn ledger(epoch: u64, owner: &str) -> Ledger {
        HashMap::from([("epoch".to_owned(), epoch.to_string()), ("owner".to_owned(), owner.to_owned())])
            .into()
    }

    #[test]
    fn a_server_that_went_back_is_told_from_a_rival() {
        let ours = Tenure { epoch: 5, owner: "us".into() };
        let kind = |ledger: Ledger| ledger.check(&ours, "copy").map_err(|error| error.kind());
        assert_eq!(kind(ledger(5, "us")), Ok(()));
        assert_eq!(kind(ledger(4, "us")), Err(ErrorKind::Unavailable));
        assert_eq!(kind(ledger(4, "them")), Err(ErrorKind::Unavailable));
        assert_eq!(kind(ledger(5, "them")), Err(ErrorKind::Conflict));
        assert_eq!(kind(ledger(6, "them")), Err(ErrorKind::Conflict));
        assert_eq!(kind(Ledger::default()), Err(ErrorKind::Unavailable));

        let next = |ledger: Ledger| ledger.next(Some(5), "us", "copy").map(|tenure| tenure.epoch);
        assert_eq!(next(ledger(4, "them")).unwrap(), 6, "two who took the same epoch differ from then on");
        assert_eq!(next(ledger(5, "us")).unwrap(), 6);
        assert_eq!(next(ledger(5, "them")).unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(ledger(5, "them").next(None, "us", "copy").unwrap().epoch, 6);
    }
}
