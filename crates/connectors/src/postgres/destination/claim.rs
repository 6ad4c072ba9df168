//! Whose a table is: a stream of a destination's, and nobody else's.

use tidemark_engine::{Error, schema::StreamName};
use tokio_postgres::Client;

use super::{
    adopt,
    check::made_for_another_mode,
    failure::Result,
    ledger::{self, Owned, Tenure},
    relation::Relation,
    table::START_ANEW,
    terms::Terms,
};
use crate::postgres::identifier::TableId;

/// What somebody may do with a table.
pub(super) enum Claim {
    /// It is theirs.
    Owned(Owned),
    /// It is nobody's yet, and may be theirs: one that is there, or one that is to be made.
    Free { is_there: bool },
}

impl Claim {
    /// What `stream` of `holder` may do with table `id`, which is `relation`. Nothing changes by it.
    pub(super) async fn of(
        client: &Client,
        terms: &Terms,
        holder: &str,
        id: &TableId,
        stream: &StreamName,
        relation: Option<&Relation>,
    ) -> Result<Self> {
        if let Some(owner) = ledger::owner(client, id, &terms.log).await? {
            if owner.stream != stream.as_str() || owner.destination != holder {
                return Err(Error::config(format!(
                    "table `{id}` of stream `{stream}` is written to by stream `{}` of destination `{}`",
                    owner.stream, owner.destination
                ))
                .hint("give each its own table with `table` or `schema`")
                .into());
            }
            if owner.mode != terms.writing.mode.as_str() {
                return Err(made_for_another_mode(id).into());
            }
            if owner.made && relation.is_none() {
                return Err(removed(id).into());
            }
            return Ok(Self::Owned(owner));
        }
        // Another table would begin in the middle of the log.
        if let Some(kept) = ledger::table_of(client, holder, stream).await? {
            return Err(Error::config(format!(
                "stream `{stream}` of destination `{holder}` is kept in table `{kept}`, not in `{id}`"
            ))
            .hint(format!(
                "set `schema` and `table` so that they name `{kept}` again, or give the destination a new name"
            ))
            .into());
        }
        let is_there = adopt::claim(client, &terms.writing, id, relation).await?;
        Ok(Self::Free { is_there })
    }

    /// Whether the table was made by us, or is to be.
    pub(super) fn is_made(&self) -> bool {
        match self {
            Self::Owned(owner) => owner.made,
            Self::Free { is_there } => !is_there,
        }
    }

    /// Makes the table theirs, whose name `tenure` has. What the ledger says of it then; `None` when it is new there, and has not
    /// seen anything.
    pub(super) async fn take(
        self,
        client: &Client,
        terms: &Terms,
        tenure: &Tenure,
        id: &TableId,
        stream: &StreamName,
    ) -> Result<Option<Owned>> {
        match self {
            Self::Owned(owner) => Ok(Some(owner)),
            Self::Free { is_there } => {
                tenure.register(client, id, stream, !is_there, terms.writing.mode).await?;
                if is_there { ledger::owner(client, id, &terms.log).await } else { Ok(None) }
            }
        }
    }
}

/// That a table of ours is gone.
pub(super) fn removed(id: &TableId) -> Error {
    Error::conflict(format!("table `{id}` has been removed")).hint(START_ANEW)
}
