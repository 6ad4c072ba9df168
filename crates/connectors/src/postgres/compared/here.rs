//! Rows that are read to be hashed here, because the other side cannot hash as a server does.

use std::sync::Arc;

use async_trait::async_trait;
use tidemark_engine::{ErrorKind, Result, change::ChangeBatch};
use tokio::task::spawn_blocking;

use super::condition;
use crate::{
    comparing::{Gathering, Key, Part, Row, Seen, Side, Sums, Terms, Wanted},
    postgres::{
        connection::Session,
        lsn::Lsn,
        source::{sync::rows::Copying, table::Shape},
    },
};

/// Keys that are looked for in one statement.
const KEYS: usize = 1_000;

/// A table whose rows are read.
pub(super) struct Here {
    session: Arc<Session>,
    shape: Shape,
    terms: Arc<Terms>,
}

impl Here {
    pub(super) fn new(session: Arc<Session>, shape: Shape, terms: Arc<Terms>) -> Self {
        Self { session, shape, terms }
    }

    /// Reads the rows that meet `conditions`. While some are hashed, the next arrive.
    async fn gather(&self, wanted: Wanted, conditions: &[String]) -> Result<Gathering> {
        let mut gathering = Gathering::new(self.terms.clone(), wanted);
        let clause = condition::clause(conditions);
        let mut rows = Copying::begin(&self.session, &self.shape, &clause, Lsn::default()).await?;
        let mut batch = rows.next().await?;
        while let Some(arrived) = batch {
            let terms = self.terms.clone();
            let hashing = spawn_blocking(move || {
                add(&mut gathering, &terms, &arrived);
                gathering
            });
            let (hashed, next) = tokio::join!(hashing, rows.next());
            (gathering, batch) = (hashed?, next?);
        }
        Ok(gathering)
    }

    async fn look_at(&self, keys: &[Key], closely: bool) -> Result<Vec<Seen>> {
        let conditions = condition::of_keys(&self.shape, &self.terms, keys);
        Ok(self.gather(Wanted::keys(keys, closely), &conditions).await?.seen)
    }
}

/// Adds the rows of `batch`.
fn add(gathering: &mut Gathering, terms: &Terms, batch: &ChangeBatch) {
    let fields = batch.schema().fields();
    let columns: Vec<_> = (0..fields.len()).map(|index| batch.column(index)).collect();
    let mut texts = vec![String::new(); columns.len()];
    for row in 0..batch.rows() {
        let mut present = vec![false; columns.len()];
        for (index, text) in texts.iter_mut().enumerate() {
            let cell = columns[index].cell(row);
            present[index] = terms.columns[index].spelling.spell(&cell, &fields[index].kind, text);
        }
        let cells: Vec<_> =
            texts.iter().zip(present).map(|(text, is_there)| is_there.then_some(text.as_str())).collect();
        gathering.add(&cells);
    }
}

#[async_trait]
impl Side for Here {
    async fn sums(&mut self, part: &Part) -> Result<Sums> {
        let conditions = condition::of_range(&self.shape, &self.terms, part);
        Ok(self.gather(Wanted::Sums(part.clone()), &conditions).await?.sums)
    }

    async fn rows(&mut self, part: &Part, bytes: &[u8]) -> Result<Vec<Row>> {
        let conditions = condition::of_range(&self.shape, &self.terms, part);
        Ok(self.gather(Wanted::Rows(part.clone(), bytes.to_vec()), &conditions).await?.rows)
    }

    async fn look(&mut self, keys: &[Key], closely: bool) -> Result<Vec<Seen>> {
        let mut seen = Vec::new();
        for some in keys.chunks(KEYS) {
            match self.look_at(some, closely).await {
                Err(error) if error.kind() == ErrorKind::Data => {
                    // A key of the other side that is no value here is none of a row here.
                    for key in some {
                        match self.look_at(std::slice::from_ref(key), closely).await {
                            Err(error) if error.kind() == ErrorKind::Data => seen.push(Seen::default()),
                            row => seen.extend(row?),
                        }
                    }
                }
                some => seen.extend(some?),
            }
        }
        Ok(seen)
    }
}
