//! Dropping what is not to be kept: a base is made, a layout says that the log begins with it, and what it stands for goes a while
//! later.

use object_store::path::Path;

use super::{Choice, Need, Retention};
use crate::{
    Error, Result, Stop,
    codec::Format,
    log::{
        Log,
        clearing::after,
        folding::OTHERS_STAY,
        layout::{Doomed, LayoutWriter, VolumeRef},
    },
};

impl Log {
    /// The last commit that is to go now by `policy`.
    pub(crate) async fn due_to_go(&self, policy: &Retention) -> Result<Option<u64>> {
        let (layout, now) = (self.layout(), self.world().now());
        let Some(wanted) = Choice::wanted(&layout, policy, now) else { return Ok(None) };
        if !wanted.is_worth_it(&layout, policy, now) {
            return Ok(None);
        }
        let needs = self.needs(policy).await?;
        let may_go = wanted.that_may_go(&layout, policy, now, least(policy, &needs));
        for need in needs.iter().filter(|need| may_go.is_some_and(|choice| need.after < choice.upper)) {
            tracing::warn!(destination = need.who, "what it needs is dropped from the staging log: {need}");
        }
        Ok(may_go.map(|choice| choice.upper))
    }

    /// Makes the base of everything up to commit `upper`. It is named by no layout yet: whoever is stopped here has done nothing.
    pub(crate) async fn prepare_base(
        &self,
        upper: u64,
        writer: &LayoutWriter,
        format: Format,
        stop: &Stop,
    ) -> Result<VolumeRef> {
        self.clear_scratch().await?;
        self.base(upper, writer, format, stop).await
    }

    /// Has the log begin with `base`, unless somebody has come to need what it stands for: it may have been long in the making.
    /// `false` when it was given up.
    pub(crate) async fn begin_with(
        &self,
        base: VolumeRef,
        policy: &Retention,
        writer: &mut LayoutWriter,
        stop: &Stop,
    ) -> Result<bool> {
        let (upper, layout) = (base.last, writer.layout().clone());
        let needs = self.needs(policy).await?;
        if least(policy, &needs) < upper {
            tracing::info!(
                commit = upper,
                "somebody needs now what was to be dropped from the staging log: it stays"
            );
            self.give_up(&base).await?;
            return Ok(false);
        }
        if !layout.volumes.iter().any(|volume| volume.last == upper) {
            return Err(Error::unavailable("the log was laid out anew while a base was made of it"));
        }
        let mut objects = Vec::new();
        for volume in layout.all_volumes().filter(|volume| volume.last <= upper) {
            let missing = || Error::conflict(format!("the volume `{}` is missing", volume.name));
            let opened = self.volume(volume).await?.ok_or_else(missing)?;
            objects.extend(opened.segments().iter().map(|segment| segment.name.clone()));
            objects.push(volume.name.clone());
        }
        let doomed = Doomed { from: after(self.world().now(), OTHERS_STAY), commits: None, objects };
        let (rows, bytes) = (base.rows, base.bytes);
        let put = writer.put(
            move |layout| {
                layout.volumes.retain(|volume| volume.last > upper);
                layout.base = Some(base);
                layout.doomed.push(doomed);
            },
            stop,
        );
        put.await?;
        tracing::info!(
            commit = upper,
            rows,
            bytes,
            "the staging log begins with this commit now: what was before is dropped"
        );
        Ok(true)
    }

    /// Removes `base`, which no layout names.
    async fn give_up(&self, base: &VolumeRef) -> Result<()> {
        let opened = self.volume(base).await?;
        let segments = opened.iter().flat_map(|opened| opened.segments()).map(|segment| segment.path());
        let mut made = segments.collect::<Result<Vec<_>>>()?;
        made.extend(Path::parse(&base.name));
        self.abandon(&made).await;
        Ok(())
    }
}

/// The last commit that may go by `policy`, where these are the needs.
fn least(policy: &Retention, needs: &[Need]) -> u64 {
    let counts = |need: &&Need| !policy.expires_slow || need.is_of_a_replay();
    needs.iter().filter(counts).map(|need| need.after).min().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::{
        PartId,
        contract::samples::numbered_rows,
        log::{Entry, Group, LogWriter, Span, Store},
        read::Phase,
        world::World,
    };

    #[tokio::test]
    async fn a_base_is_given_up_when_somebody_needs_what_it_stands_for() {
        let log = Log::open_or_create(Store::memory(), "dropping", World::real()).await.unwrap();
        let mut commits = LogWriter::open(&log).await.unwrap();
        for _ in 0..3 {
            let group = Group {
                part: PartId::new("part"),
                cursor: Bytes::new(),
                forgotten: Vec::new(),
                transactions: vec![Span { rows: 1, time: None }],
                last_source_position: None,
                steps: Vec::new(),
                rows: 1,
                left_out: 0,
                phase: Phase::Changes,
                batches: vec![numbered_rows("a", 0, 1).numbered_from(0)],
                segments: Vec::new(),
            };
            commits.commit(Entry { groups: vec![group] }, &Stop::new()).await.unwrap();
        }
        let (mut writer, stop) = (LayoutWriter::open(&log).await.unwrap(), Stop::new());
        log.fold(&mut writer, Format::Arrow, &stop).await.unwrap();
        let policy = Retention { age: Some(Duration::ZERO), size: Some(0), ..Retention::default() };
        let upper = log.due_to_go(&policy).await.unwrap().unwrap();

        let base = log.prepare_base(upper, &writer, Format::Arrow, &stop).await.unwrap();
        let mut made = vec![base.name.clone()];
        let opened = log.volume(&base).await.unwrap().unwrap();
        made.extend(opened.segments().iter().map(|segment| segment.name.clone()));
        // One that has not begun needs all.
        let needed = Retention { live: vec!["d".to_owned()], ..policy.clone() };
        assert!(!log.begin_with(base, &needed, &mut writer, &stop).await.unwrap());
        assert_eq!(log.begins_after(), None);
        for name in &made {
            let left = log.store().get(&Path::parse(name).unwrap()).await.unwrap();
            assert!(left.is_none(), "{name} is left");
        }

        let base = log.prepare_base(upper, &writer, Format::Arrow, &stop).await.unwrap();
        assert!(log.begin_with(base, &policy, &mut writer, &stop).await.unwrap());
        assert_eq!(log.begins_after(), Some(upper));
    }
}
