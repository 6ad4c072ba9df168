//! What we have made at the server, and its removal. A DBA's publication and slot are never touched.

use std::fmt;

use tidemark_engine::{Error, Result};

use super::{Source, publication::Publication, slot::Slot};

/// Something that Tidemark made at the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made {
    /// A replication slot: while it is there, the server keeps its log.
    Slot(String),
    /// A publication.
    Publication(String),
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slot(name) => write!(f, "replication slot `{name}`"),
            Self::Publication(name) => write!(f, "publication `{name}`"),
        }
    }
}

impl Source {
    /// What Tidemark made at the source for this pipeline, and is still there.
    pub async fn made(&self) -> Result<Vec<Made>> {
        let session = self.server.connect("teardown").await?;
        let mut made = Vec::new();
        if self.config.slot.is_none() && Slot::inspect(&session, &self.made).await?.is_some() {
            made.push(Made::Slot(self.made.clone()));
        }
        if self.config.publication.is_none() && Publication::inspect(&session, &self.made).await?.is_some() {
            made.push(Made::Publication(self.made.clone()));
        }
        Ok(made)
    }

    /// Removes what [`made`](Self::made) lists. What is not there any more is as good as removed.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Config`] while the pipeline runs.
    pub async fn tear_down(&self) -> Result<()> {
        let session = self.server.connect("teardown").await?;
        if self.config.slot.is_none()
            && let Some(slot) = Slot::inspect(&session, &self.made).await?
        {
            if let Some(pid) = slot.active_pid {
                return Err(Error::config(format!(
                    "replication slot `{}` is in use, by process {pid} of the server",
                    self.made
                ))
                .hint("stop the pipeline first"));
            }
            Slot::drop(&session, &self.made).await?;
        }
        if self.config.publication.is_none() {
            Publication::drop(&session, &self.made).await?;
        }
        Ok(())
    }
}
