//! The pages of a stream that is asked for every record of another.

use std::collections::BTreeMap;

use async_trait::async_trait;
use indexmap::IndexMap;
use tidemark_engine::{Error, Result};

use super::{
    endpoint::{Came, Outcome},
    pages::HttpPages,
    place::{self, ChildPlace, Place},
    values::Values,
};
use crate::{
    polling::{Answer, Ask, Page, Pages, Records},
    records::{Cell, Rows, Shape, SharedRows},
};

/// A child stream: the records below every record of its parent.
///
/// Each sweep reads the parent's pages anew. A parent that has vanished in between (404) has no children.
pub(super) struct ChildPages {
    pub(super) parents: HttpPages,
    pub(super) children: HttpPages,
    /// Columns that records get from their parent: their names, and the parent's.
    pub(super) columns: IndexMap<String, String>,
    /// The page of parents that was read last, and where it stands.
    pub(super) page: Option<(Option<Place>, Parents)>,
}

/// One page of parents.
pub(super) struct Parents {
    rows: SharedRows,
    next: Option<Place>,
}

#[async_trait]
impl Pages for ChildPages {
    async fn page(&mut self, ask: &Ask) -> Result<Answer> {
        let at = place::read::<ChildPlace>(ask.token.as_deref())?.unwrap_or_default();
        let parents = self.parents(ask, at.parents.as_ref()).await?;
        let (rows, after) = (parents.rows.clone(), parents.next.clone());
        if at.parent >= rows.len() {
            return beyond(after);
        }
        let values = Values { parent: record(rows.as_ref(), at.parent), ..self.children.values(ask) };
        let came = match self.children.endpoint.ask(at.page.as_ref(), &values).await? {
            Outcome::Came(came) => came,
            Outcome::Missing(error) if at.page.is_none() => {
                tracing::debug!(%error, stream = self.children.stream, "a parent is gone, and its children with it");
                return nothing(Some(following(&at, None, rows.len(), after)?));
            }
            Outcome::Missing(error) | Outcome::Refused(error) => return Err(error),
            Outcome::Unchanged | Outcome::Gone => {
                return Err(Error::data(format!(
                    "the records of stream `{}` below one record were answered with no page of records",
                    self.children.stream
                ))
                .hint("check `path`: a stream below another is always read whole"));
            }
        };
        let next = following(&at, came.next.clone(), rows.len(), after)?;
        let columns = self.columns.iter().filter_map(|(name, of)| {
            let column = rows.names().iter().position(|name| name == of)?;
            Some((name.clone(), owned(rows.cell(column, at.parent))))
        });
        let columns = columns.collect::<Vec<_>>();
        with_columns(came, columns).into_answer(Some(next), &mut self.children.circle, ask)
    }
}

impl ChildPages {
    /// The page of parents at `place`, which is mostly the one of before.
    async fn parents(&mut self, ask: &Ask, place: Option<&Place>) -> Result<&Parents> {
        let is_at_hand =
            self.page.as_ref().is_some_and(|(at, _)| at.as_ref() == place && ask.token.is_some());
        if !is_at_hand {
            let values = Values { cursor: String::new(), ..self.parents.values(ask) };
            let came = match self.parents.endpoint.ask(place, &values).await? {
                Outcome::Came(came) => came,
                Outcome::Missing(error) | Outcome::Refused(error) => return Err(error),
                Outcome::Unchanged | Outcome::Gone => {
                    return Err(Error::data(format!(
                        "stream `{}` was answered with no page of records",
                        self.parents.stream
                    ))
                    .hint("check its `path`"));
                }
            };
            let parents = Parents { rows: came.decoded.records, next: came.next };
            self.page = Some((place.cloned(), parents));
        }
        match &self.page {
            Some((_, parents)) => Ok(parents),
            None => Err(Error::internal("a page of parents was read and is not there")),
        }
    }
}

/// Where it goes on after the page at `at`, whose own next page is `next`.
fn following(
    at: &ChildPlace,
    next: Option<Place>,
    parents: usize,
    after: Option<Place>,
) -> Result<Option<String>> {
    let place = match (next, at.parent + 1 < parents, after) {
        (Some(page), ..) => Some(ChildPlace { page: Some(page), ..at.clone() }),
        (None, true, _) => Some(ChildPlace { parent: at.parent + 1, page: None, ..at.clone() }),
        (None, false, Some(parents)) => Some(ChildPlace { parents: Some(parents), parent: 0, page: None }),
        (None, false, None) => None,
    };
    place.as_ref().map(place::write).transpose()
}

/// A page of parents without a parent: on to the next one.
fn beyond(after: Option<Place>) -> Result<Answer> {
    let place = after.map(|parents| ChildPlace { parents: Some(parents), parent: 0, page: None });
    nothing(Some(place.as_ref().map(place::write).transpose()?))
}

fn nothing(next: Option<Option<String>>) -> Result<Answer> {
    let records: SharedRows =
        std::sync::Arc::new(WithColumns { rows: None, names: Vec::new(), columns: Vec::new() });
    Ok(Answer::Page(Page {
        records: Records::Text(records),
        gone: None,
        next: next.flatten(),
        delta: None,
        bytes: 0,
        origin: "a parent without children".to_owned(),
    }))
}

/// A parent as templates see it: text by column.
fn record(rows: &dyn Rows, row: usize) -> BTreeMap<String, String> {
    let cells = rows.names().iter().enumerate().filter_map(|(column, name)| match rows.cell(column, row) {
        Cell::Value { text, .. } => Some((name.clone(), text.to_owned())),
        Cell::Missing | Cell::Null => None,
    });
    cells.collect()
}

/// A value that outlives its page.
#[derive(Debug, Clone)]
enum Owned {
    Nothing,
    Value { text: String, raw: String, shape: Shape },
}

fn owned(cell: Cell<'_>) -> Owned {
    match cell {
        Cell::Missing | Cell::Null => Owned::Nothing,
        Cell::Value { text, raw, shape } => {
            Owned::Value { text: text.to_owned(), raw: raw.to_owned(), shape }
        }
    }
}

fn with_columns(mut came: Came, columns: Vec<(String, Owned)>) -> Came {
    let add = |rows: SharedRows| -> SharedRows {
        let own = rows.names().iter().filter(|name| !columns.iter().any(|(other, _)| other == *name));
        let mut names = own.cloned().collect::<Vec<_>>();
        let kept = names.iter().filter_map(|name| rows.names().iter().position(|other| other == name));
        let kept = kept.collect::<Vec<_>>();
        names.extend(columns.iter().map(|(name, _)| name.clone()));
        let columns = columns.iter().map(|(_, value)| value.clone()).collect();
        std::sync::Arc::new(WithColumns { rows: Some((rows, kept)), names, columns })
    };
    came.decoded.gone = came.decoded.gone.map(|(rows, after)| (add(rows), after));
    came.decoded.records = add(came.decoded.records);
    came
}

/// Records with the same values in some more columns.
struct WithColumns {
    /// The records, and which of their columns are kept.
    rows: Option<(SharedRows, Vec<usize>)>,
    names: Vec<String>,
    columns: Vec<Owned>,
}

impl Rows for WithColumns {
    fn len(&self) -> usize {
        self.rows.as_ref().map_or(0, |(rows, _)| rows.len())
    }

    fn names(&self) -> &[String] {
        &self.names
    }

    fn cell(&self, column: usize, row: usize) -> Cell<'_> {
        let Some((rows, kept)) = &self.rows else { return Cell::Missing };
        match kept.get(column) {
            Some(&own) => rows.cell(own, row),
            None => match &self.columns[column - kept.len()] {
                Owned::Nothing => Cell::Null,
                Owned::Value { text, raw, shape } => Cell::Value { text, raw, shape: *shape },
            },
        }
    }

    fn line(&self, row: usize) -> u64 {
        self.rows.as_ref().map_or(0, |(rows, _)| rows.line(row))
    }

    fn is_dense(&self) -> bool {
        self.rows.as_ref().is_some_and(|(rows, _)| rows.is_dense())
    }
}
