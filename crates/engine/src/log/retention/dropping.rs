//! Dropping what is not to be kept: a base is made, a layout says that the log begins with it, and what it stands for goes a while
//! later.

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
        let counts = |need: &&Need| !policy.expires_slow || need.is_of_a_replay();
        let least = needs.iter().filter(counts).map(|need| need.after).min().unwrap_or(u64::MAX);
        let may_go = wanted.within(&layout, least);
        let may_go = may_go.filter(|choice| choice.is_worth_it(&layout, policy, now));
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
    ) -> Result<VolumeRef> {
        self.clear_scratch().await?;
        self.base(upper, writer, format).await
    }

    /// Has the log begin with `base`.
    pub(crate) async fn begin_with(
        &self,
        base: VolumeRef,
        writer: &mut LayoutWriter,
        stop: &Stop,
    ) -> Result<()> {
        let (upper, layout) = (base.last, writer.layout().clone());
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
        Ok(())
    }
}
