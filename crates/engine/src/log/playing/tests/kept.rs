//! A destination with a shadow, as the write loop fills it.

use async_trait::async_trait;
use tokio::sync::watch;

use super::table::{Mirror, Rows};
use crate::{
    LogId, Result, Stop,
    log::Log,
    write::{Appetite, Plan, Standing, Unit, WriteLoop, WriteMode, WriteStrategy},
};

/// A table, and the shadow that is to take its place.
#[derive(Debug, Default)]
pub(in crate::log) struct Kept {
    table: Mirror,
    shadow: Option<Mirror>,
    standing: Option<Standing>,
    /// How often a shadow has taken the table's place.
    pub(in crate::log) replaced: u64,
}

impl Kept {
    /// Plays `log` up to commit `last`, and fills what is to be filled.
    pub(in crate::log) async fn play_until(&mut self, log: &Log, last: u64) {
        let (_keep, horizon) = watch::channel(Some(last));
        let plan = Plan::new(WriteMode::Mirror);
        WriteLoop::new(log.clone(), "kept", plan, horizon, Stop::new()).run(self).await.unwrap();
    }

    pub(in crate::log) fn rows(&self) -> &Rows {
        &self.table.rows
    }
}

#[async_trait]
impl WriteStrategy for Kept {
    fn appetite(&self) -> Appetite {
        Appetite { rows: 3, ..Appetite::default() }
    }

    async fn open(&mut self, _log: &LogId) -> Result<Option<Standing>> {
        Ok(self.standing.clone())
    }

    async fn apply(&mut self, unit: &mut Unit) -> Result<()> {
        let (begin, end) = (unit.begin().clone(), unit.end().clone());
        for (stream, anew) in &end.anew {
            if begin.anew.get(stream).is_none_or(|before| before.from != anew.from) {
                self.shadow = Some(Mirror::default());
            }
        }
        let into_shadows = unit.is_into_shadows();
        while let Some(delivery) = unit.next().await? {
            match &mut self.shadow {
                Some(shadow) if into_shadows => shadow.apply(&delivery),
                _ => self.table.apply(&delivery),
            }
        }
        if begin.anew.keys().any(|stream| !end.anew.contains_key(stream)) {
            self.table = self.shadow.take().expect("a shadow takes the place");
            self.replaced += 1;
        }
        self.standing = Some(end);
        Ok(())
    }
}
