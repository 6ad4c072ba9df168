//! What a destination should hold, made from the staging log by playing it into a database of its own.

use std::{collections::BTreeMap, fs, path::PathBuf};

use tidemark_connectors::{
    comparing::Replica,
    config::{DestinationConfig, TableName, Writing},
    sqlite,
};
use tidemark_engine::{
    Error, Result, Stop,
    log::{Ledger, Log, Selection},
    schema::StreamName,
    write::{OnTruncate, Plan, Standing, WriteLoop, WriteMode},
};
use tokio::sync::watch;

use super::{report::OfStream, stream::Comparison, why_not};
use crate::pipeline_file::{Destination, Pipeline, StagingPlace};

/// How it is called while it is there.
const NAME: &str = "verify";

/// A mirror of the source as the log has it.
pub(super) struct Replayed<'a> {
    pipeline: &'a Pipeline,
    log: &'a Log,
    plan: Plan,
    streams: Vec<StreamName>,
    writing: Writing,
    system: DestinationConfig,
    /// Goes with this.
    _folder: Folder,
}

/// A folder that goes away.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left of it is of no use to anybody.
        drop(fs::remove_dir_all(&self.0));
    }
}

impl<'a> Replayed<'a> {
    /// Prepares one of `streams`, which `destination` was given from after commit `from` on.
    pub(super) async fn make(
        pipeline: &'a Pipeline,
        log: &'a Log,
        destination: &Destination,
        from: u64,
        streams: Vec<StreamName>,
    ) -> Result<Self> {
        let name = format!(".{}-verify-{}", pipeline.name, log.world().name(8));
        // Beside the log where that is a folder; else beside the pipeline file.
        let beside = match &pipeline.staging.place {
            StagingPlace::Folder(path) => path,
            StagingPlace::Objects(_) => &pipeline.home.folder,
        };
        let folder = Folder(std::path::absolute(beside.join(name)).unwrap_or_default());
        let failed = |error| {
            Error::unavailable(format!("cannot make the folder `{}`", folder.0.display())).source(error)
        };
        fs::create_dir_all(&folder.0).map_err(failed)?;
        let path = folder.0.join("staged.db");
        let on_truncate = match destination.on_truncate {
            OnTruncate::Ignore => OnTruncate::Ignore,
            // Where one has been decided upon, it was applied.
            OnTruncate::Apply | OnTruncate::Stop => OnTruncate::Apply,
        };
        let selection = Selection { streams: streams.clone(), ..Selection::default() };
        let reshape = destination.plan().reshape;
        let plan = Plan { from, selection, on_truncate, reshape, ..Plan::new(WriteMode::Mirror) };
        let writing = Writing {
            destination: NAME.to_owned(),
            mode: WriteMode::Mirror,
            table: TableName::default(),
            adopt: false,
            shadow: false,
        };
        let system = DestinationConfig::Sqlite(sqlite::DestinationConfig { path });
        Ok(Self { pipeline, log, plan, streams, writing, system, _folder: folder })
    }

    /// Compares `replica` with it, as both stand at one commit.
    pub(super) async fn compare_with(
        &self,
        replica: &dyn Replica,
        limit: usize,
        stop: &Stop,
    ) -> Result<Vec<OfStream>> {
        let all = |why: &str| {
            let streams = self.streams.iter();
            Ok(streams.map(|stream| OfStream::not_compared(stream, why.to_owned())).collect())
        };
        // No stream named would be every stream.
        if self.streams.is_empty() {
            return Ok(Vec::new());
        }
        let Some(standing) = replica.standing().await? else {
            return all("nothing has been written to the destination yet");
        };
        // Most of it is played before the destination is held still.
        self.play(&Standing { beyond: None, ..standing }, stop).await?;
        let Some(standing) = replica.hold_still().await? else {
            return all("nothing has been written to the destination yet");
        };
        self.play(&standing, stop).await?;
        let staged = self.system.compared(&self.pipeline.home, &self.writing)?;
        let staged = staged.ok_or_else(|| Error::internal("SQLite cannot be compared"))?;
        let own = staged.standing().await?;
        if own.as_ref().is_some_and(|own| own.position != standing.position || own.beyond != standing.beyond)
        {
            return Err(Error::unavailable("the destination went back while it was being compared")
                .hint("verify again when no replay is under way"));
        }
        let held = own.as_ref().map_or_else(BTreeMap::new, |own| own.held.clone());
        let mut reports = Vec::new();
        for stream in &self.streams {
            let of_staged = held.get(stream).map(|hold| format!("it cannot be played: {}", hold.error));
            let waits = own.as_ref().and_then(|own| why_not(own, stream));
            if let Some(why) = why_not(&standing, stream).or(of_staged).or(waits) {
                reports.push(OfStream::not_compared(stream, why));
                continue;
            }
            let (table, copy) = (staged.table(stream).await?, replica.table(stream).await?);
            let report = match (table, copy) {
                (Some(table), copy) => Comparison::new(stream, table, copy, limit).run(None).await?,
                (None, None) => {
                    OfStream::not_compared(stream, "nothing of it has been written yet".to_owned())
                }
                (None, Some(_)) => OfStream::not_compared(
                    stream,
                    "nothing of it is in the log that would be written".to_owned(),
                ),
            };
            reports.push(report);
        }
        Ok(reports)
    }

    /// Plays on, up to where the destination stands.
    async fn play(&self, standing: &Standing, stop: &Stop) -> Result<()> {
        self.log.verify(&standing.position).await?;
        let (_horizon, last) = watch::channel(Some(standing.position.sequence));
        let plan = Plan { beyond: standing.beyond, ..self.plan.clone() };
        let play = WriteLoop::new(self.log.clone(), NAME, plan, last, stop.clone());
        let mut strategy =
            self.system.strategy(&self.pipeline.home, &self.writing, Ledger::new(self.log, NAME))?;
        let played = play.without_marks().run(strategy.as_mut()).await;
        match played {
            // Streams that are held here are told of one by one.
            Err(error) if error.stream().is_some() => Ok(()),
            played => played,
        }
    }
}
