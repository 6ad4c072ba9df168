//! Up to where a log is dropped.

use std::time::Duration;

use super::{Retention, base_bytes};
use crate::{Time, log::layout::Layout};

/// A part of the log, from its beginning, that may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Choice {
    /// Its last commit: the last of a volume.
    pub(super) upper: u64,
    /// Bytes that it takes, but for the base before it.
    pub(super) bytes: u64,
}

impl Choice {
    /// What is to go at time `now` by `policy`, whoever needs it: `None` when that is nothing.
    pub(super) fn wanted(layout: &Layout, policy: &Retention, now: Time) -> Option<Self> {
        let age = |time: Time| Duration::from_micros(now.micros_since(time));
        let all: u64 = layout.volumes.iter().map(|volume| volume.bytes).sum();
        // Once it is too much, more goes than has to, so that the base is not written anew for every little.
        let too_much = policy.size.map_or(0, |size| all.saturating_sub(size));
        let too_much = if too_much > 0 { too_much.max(base_bytes(layout) / 4) } else { 0 };
        let (mut wanted, mut bytes) = (None, 0);
        for volume in &layout.volumes {
            let is_too_old = policy.age.is_some_and(|most| age(volume.time) > most);
            if !is_too_old && bytes >= too_much {
                break;
            }
            bytes += volume.bytes;
            wanted = Some(Self { upper: volume.last, bytes });
        }
        wanted
    }

    /// As much of it as ends at commit `last` or before, where no initial sync is under way.
    pub(super) fn within(self, layout: &Layout, last: u64) -> Option<Self> {
        let (mut within, mut bytes) = (None, 0);
        for volume in layout.volumes.iter().take_while(|volume| volume.last <= last.min(self.upper)) {
            bytes += volume.bytes;
            if volume.settled {
                within = Some(Self { upper: volume.last, bytes });
            }
        }
        within
    }

    /// Whether it is worth a new base at time `now`.
    pub(super) fn is_worth_it(self, layout: &Layout, policy: &Retention, now: Time) -> bool {
        is_overdue(layout, policy, now) || self.pays(layout)
    }

    /// As much of it as may go when somebody needs what comes after commit `least`, and is worth a new base at time `now`.
    pub(super) fn that_may_go(
        self,
        layout: &Layout,
        policy: &Retention,
        now: Time,
        least: u64,
    ) -> Option<Self> {
        let (all, may_go) = (self.within(layout, u64::MAX), self.within(layout, least)?);
        // While somebody lags, what is oldest is overdue all the time: else there would be a new base whenever they have come past
        // another volume.
        let is_as_much = || Some(may_go) == all || may_go.reaches_far(layout, policy);
        let is_worth_it = may_go.pays(layout) || (is_overdue(layout, policy, now) && is_as_much());
        is_worth_it.then_some(may_go)
    }

    fn pays(self, layout: &Layout) -> bool {
        self.bytes >= base_bytes(layout) / 4
    }

    /// Whether it ends as long after the base as what is overdue is too old at the least.
    fn reaches_far(self, layout: &Layout, policy: &Retention) -> bool {
        let last = layout.volumes.iter().find(|volume| volume.last == self.upper);
        let reach = layout.base.as_ref().zip(last);
        let reach = reach.map(|(base, last)| Duration::from_micros(last.time.micros_since(base.time)));
        policy.age.zip(reach).is_none_or(|(most, reach)| reach >= most / 2)
    }
}

/// Whether there is something that is half as old again as it may be.
fn is_overdue(layout: &Layout, policy: &Retention, now: Time) -> bool {
    let oldest = layout.volumes.first().map(|volume| Duration::from_micros(now.micros_since(volume.begun)));
    policy.age.zip(oldest).is_some_and(|(most, age)| age > most + most / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Digest, LogId, log::layout::VolumeRef};

    const HOUR: i64 = 3_600_000_000;

    fn volume(first: u64, last: u64, hour: i64, settled: bool) -> VolumeRef {
        VolumeRef {
            name: String::new(),
            digest: Digest::ZERO,
            first,
            last,
            previous: Digest::ZERO,
            head: Digest::ZERO,
            begun: Time::from_micros((hour - 1) * HOUR),
            time: Time::from_micros(hour * HOUR),
            watermark: Time::EPOCH,
            rows: 0,
            bytes: 100,
            weight: 0,
            plain: 0,
            settled,
        }
    }

    /// Ten volumes of ten commits and an hour each, behind a base of `base` bytes.
    fn layout(base: Option<u64>) -> Layout {
        let mut layout = Layout::none(LogId::new("log"));
        layout.base = base.map(|bytes| VolumeRef { bytes, ..volume(10, 10, 0, true) });
        layout.volumes = (1..=10).map(|at| volume(at * 10 + 1, at * 10 + 10, at as i64, at != 3)).collect();
        layout
    }

    fn aged(hours: u64) -> Retention {
        Retention { age: Some(Duration::from_secs(hours * 3_600)), ..Retention::default() }
    }

    fn sized(size: u64) -> Retention {
        Retention { size: Some(size), ..Retention::default() }
    }

    /// The last commit that goes at `hour` when nobody needs one up to `needed`.
    fn upper(layout: &Layout, policy: &Retention, hour: i64, needed: u64) -> Option<u64> {
        let now = Time::from_micros(hour * HOUR);
        let wanted = Choice::wanted(layout, policy, now)?;
        wanted.that_may_go(layout, policy, now, needed).map(|choice| choice.upper)
    }

    #[test]
    fn whole_volumes_go_that_are_older_than_they_may_be() {
        assert_eq!(upper(&layout(None), &Retention::default(), 1_000, u64::MAX), None, "all is kept");
        assert_eq!(upper(&layout(None), &aged(5), 5, u64::MAX), None);
        assert_eq!(upper(&layout(None), &aged(5), 10, u64::MAX), Some(50));
        assert_eq!(upper(&layout(None), &aged(5), 1_000, u64::MAX), Some(110));
    }

    #[test]
    fn what_is_too_much_goes_and_no_crumbs() {
        assert_eq!(upper(&layout(None), &sized(1_000), 1, u64::MAX), None);
        assert_eq!(upper(&layout(None), &sized(999), 1, u64::MAX), Some(20));
        assert_eq!(upper(&layout(None), &sized(450), 1, u64::MAX), Some(70));
        assert_eq!(upper(&layout(Some(2_000)), &sized(999), 1, u64::MAX), Some(60), "a quarter of the base");
        assert_eq!(upper(&layout(Some(4_400)), &sized(999), 1, u64::MAX), None, "it would not be worth it");
    }

    #[test]
    fn nobody_loses_what_is_needed_and_no_initial_sync_is_cut() {
        assert_eq!(upper(&layout(None), &sized(0), 1, 59), Some(50));
        assert_eq!(upper(&layout(None), &sized(0), 1, 49), Some(30), "one is under way after commit 40");
        assert_eq!(upper(&layout(None), &sized(0), 1, 19), None);
        // A base is written for little when that is overdue.
        let large = layout(Some(1 << 40));
        assert_eq!(upper(&large, &aged(5), 7, u64::MAX), None);
        assert_eq!(upper(&large, &aged(5), 8, u64::MAX), Some(30));
    }

    #[test]
    fn whoever_lags_has_no_base_written_for_every_volume() {
        let large = layout(Some(1 << 40));
        assert_eq!(upper(&large, &aged(6), 20, 29), None, "two hours of six");
        assert_eq!(upper(&large, &aged(6), 20, 59), Some(50), "four");
        assert_eq!(upper(&layout(Some(400)), &aged(6), 20, 29), Some(20), "or a quarter of the base");
        assert_eq!(upper(&large, &aged(6), 8, 29), None, "not overdue");
        // Nobody lags, and all that is too old goes, however little.
        let mut idle = large;
        idle.volumes.truncate(1);
        assert_eq!(upper(&idle, &aged(6), 20, u64::MAX), Some(20));
    }
}
