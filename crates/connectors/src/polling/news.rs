//! What is new on the pages of a sweep: which of its records are created, changed or gone.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tidemark_engine::{
    Error, Result,
    change::{Cell as TypedCell, ChangeBatch, Op},
    world::World,
};
use twox_hash::XxHash3_64;

use super::{
    cursor::Sum,
    identity::Identity,
    known::{Fingerprints, Known, RowHash, Standing},
    page::{Page, Records},
    plan::Plan,
    shaper::Shaper,
    watermark,
};
use crate::records::Cell;

/// What has been found out about some pages.
pub(super) struct News {
    /// What has changed, in the order of the pages.
    pub(super) batches: Vec<ChangeBatch>,
    pub(super) sum: Sum,
    /// The greatest mark of each page.
    pub(super) marks: Vec<Option<String>>,
}

/// How pages are looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    /// What a record is that was not known.
    pub(super) fresh: Op,
    /// Whether columns without a value so far are declared as text.
    pub(super) settle: bool,
    /// Whether records bring only what has changed of them.
    pub(super) sparse: bool,
}

/// What `pages` have that is not `known` yet, and is from now on: a record that is new is `fresh` (read or created), one that is known with
/// another content is updated, one that the system names as gone is deleted if it is known.
pub(super) async fn find(
    plan: &Arc<Plan>,
    pages: Vec<Page>,
    (known, shaper): (&mut Known, &mut Shaper),
    way: Way,
    world: World,
) -> Result<News> {
    let (identity, mark) = (plan.identity(), plan.watermark().map(str::to_owned));
    let looked = world.compute(move || Looked::at(pages, &identity, mark.as_deref(), way.sparse)).await??;
    let Looked { pages, prints, gone, reborn, sum, marks } = looked;
    let standings = known.compare(prints).await?;
    let were_known = known.forget(&gone).await?;
    // What has no key was known by its content alone, and nobody could say which one is to be deleted.
    let gone = gone.into_iter().zip(were_known).filter(|(_, was)| *was && plan.is_keyed());
    let gone = gone.map(|(key, _)| key).collect::<Vec<_>>();

    let mut moved = shaper.clone();
    let work = move || {
        let (mut batches, mut begin) = (Vec::new(), 0);
        for (at, page) in pages.iter().enumerate() {
            let end = begin + page.records.len();
            let changed = (begin..end).filter_map(|index| {
                let op = match standings[index] {
                    Standing::New => way.fresh,
                    // What it was before says nothing of what such a record does not bring.
                    _ if way.sparse && reborn.contains(&index) => way.fresh,
                    Standing::Changed => Op::Update,
                    // The same once more may have been something else in between.
                    Standing::Same if way.sparse => Op::Update,
                    Standing::Same => return None,
                };
                Some((index - begin, op))
            });
            let rows = changed.collect::<Vec<_>>();
            let settle = way.settle && at + 1 == pages.len();
            if !rows.is_empty() || settle {
                let batch = moved.changes(&page.records, &rows, (settle, way.sparse), &page.origin)?;
                batches.extend(batch.filter(|batch| batch.rows() > 0));
            }
            begin = end;
        }
        if !gone.is_empty() {
            batches.push(moved.deletes(&gone)?);
        }
        Ok::<_, Error>((moved, batches))
    };
    let (moved, batches) = world.compute(work).await??;
    *shaper = moved;
    Ok(News { batches, sum, marks })
}

/// Pages, and what tells their records apart.
struct Looked {
    pages: Vec<Page>,
    /// Of all records, in the order of the pages.
    prints: Fingerprints,
    /// The keys of those that are gone, and were not made again on these pages.
    gone: Vec<Vec<u8>>,
    /// Which of the records were gone before, on these pages.
    reborn: BTreeSet<usize>,
    sum: Sum,
    marks: Vec<Option<String>>,
}

impl Looked {
    fn at(pages: Vec<Page>, identity: &Identity, mark: Option<&str>, sparse: bool) -> Result<Self> {
        let (mut prints, mut sum, mut marks) = (Fingerprints::default(), Sum::default(), Vec::new());
        // How many of all records stood before each that is gone.
        let mut gone = BTreeMap::<Vec<u8>, usize>::new();
        for page in &pages {
            let before = prints.len();
            for (key, row) in fingerprints(&page.records, identity, &page.origin)?.iter() {
                sum.add(XxHash3_64::oneshot(key), row);
                // What a record held beside that is not in its hash: a whole one is never the same.
                prints.push(key, if sparse { row.of_a_part() } else { row });
            }
            if let Some(named) = &page.gone {
                let keys = fingerprints(&named.records, identity, &page.origin)?;
                for ((key, _), after) in keys.iter().zip(&named.after) {
                    sum.add(XxHash3_64::oneshot(key), RowHash::of(b"gone"));
                    gone.insert(key.to_vec(), before + after);
                }
            }
            marks.push(mark.and_then(|mark| highest(&page.records, mark)));
        }
        let mut reborn = BTreeSet::new();
        if !gone.is_empty() {
            for (index, (key, _)) in prints.iter().enumerate() {
                if gone.get(key).is_some_and(|before| *before <= index) {
                    gone.remove(key);
                    reborn.insert(index);
                }
            }
        }
        Ok(Self { pages, prints, gone: gone.into_keys().collect(), reborn, sum, marks })
    }
}

fn fingerprints(records: &Records, identity: &Identity, origin: &str) -> Result<Fingerprints> {
    match records {
        Records::Text(rows) => identity.of_text(rows.as_ref(), origin),
        Records::Typed(batch) => identity.of_typed(batch, origin),
    }
}

/// The greatest mark in the column `name`.
fn highest(records: &Records, name: &str) -> Option<String> {
    match records {
        Records::Text(rows) => {
            let column = rows.names().iter().position(|other| other == name)?;
            let marks = (0..rows.len()).filter_map(|row| match rows.cell(column, row) {
                Cell::Value { text, .. } => Some(text),
                Cell::Missing | Cell::Null => None,
            });
            marks.max_by(|a, b| watermark::compare(a, b)).map(str::to_owned)
        }
        Records::Typed(batch) => {
            let index = batch.schema().fields().iter().position(|field| field.name == name)?;
            let column = batch.column(index);
            let marks = (0..batch.rows()).filter_map(|row| match column.cell(row) {
                TypedCell::Value(value) => Some(value.to_string()),
                _ => None,
            });
            marks.max_by(|a, b| watermark::compare(a, b))
        }
    }
}
