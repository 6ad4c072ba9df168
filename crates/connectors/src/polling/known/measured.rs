//! A door for the benchmarks, and for nothing else: what it costs to compare records with those that are known.

use tidemark_engine::{Result, log::States, schema::StreamName};

use super::{Fingerprints, Known, KnownRef, RowHash, Standing};

/// What is known of records with the keys 0, 1, 2 and so on.
pub struct Compared(Known);

impl Compared {
    /// Nothing yet.
    pub async fn new(states: States, memory: usize) -> Result<Self> {
        Known::open(states, StreamName::new("measured"), KnownRef::default(), memory).await.map(Self)
    }

    /// Compares all records with numbers in `pages`, one page after another, and then tells which are gone; how many are new or have
    /// changed, and how many are gone.
    pub async fn sweep<I: IntoIterator<Item = u64>>(
        &mut self,
        pages: impl IntoIterator<Item = I>,
        content: impl Fn(u64) -> u64,
    ) -> Result<(u64, u64)> {
        let Self(known) = self;
        known.begin_sweep();
        let mut differ = 0;
        for page in pages {
            let mut prints = Fingerprints::default();
            for number in page {
                let row = RowHash::of(&content(number).to_le_bytes());
                prints.push(format!("order-{number:012}").as_bytes(), row);
            }
            let standings = known.compare(prints).await?;
            differ += standings.iter().filter(|standing| **standing != Standing::Same).count() as u64;
            known.record().await?;
        }
        let gone = known.end_sweep().await?;
        loop {
            let keys = known.vanished(10_000).await?;
            if keys.is_empty() {
                break;
            }
            known.forget(&keys).await?;
            known.record().await?;
        }
        known.tidy().await?;
        Ok((differ, gone))
    }

    /// How many records are known.
    pub fn records(&self) -> u64 {
        self.0.records()
    }
}
