//! How much was used in the time that has just gone by.

use std::{collections::VecDeque, time::Duration};

use tidemark_engine::Time;

/// At most `amount` in any span of length `per`, exactly: what was used is remembered with its time until that has gone by.
#[derive(Debug)]
pub(super) struct Window {
    amount: u64,
    per: i64,
    used: VecDeque<(i64, u64)>,
    total: u64,
}

/// What was used within this share of the window is remembered as one.
const SHARES: i64 = 1_000;

impl Window {
    fn new(amount: u64, per: Duration) -> Self {
        let per = i64::try_from(per.as_micros()).unwrap_or(i64::MAX).max(1);
        Self { amount: amount.max(1), per, used: VecDeque::new(), total: 0 }
    }

    /// Makes `window` the stricter of what it is and `amount` per `per`. Which of two different spans is stricter depends on
    /// the moment: the lower rate is taken.
    pub(super) fn tighten(window: &mut Option<Self>, amount: u64, per: Duration) {
        let next = Self::new(amount, per);
        // Compared crosswise: amounts per time, without fractions.
        let share = |of: &Self, per: i64| i128::from(of.amount) * i128::from(per);
        match window {
            Some(former) if share(former, next.per) <= share(&next, former.per) => {}
            Some(former) => (former.amount, former.per) = (next.amount, next.per),
            None => *window = Some(next),
        }
    }

    /// How long to wait before anything more may be used; `None`: no time.
    pub(super) fn wait(&mut self, now: Time) -> Option<Duration> {
        self.forget(now.as_micros());
        let (first, _) = *self.used.front().filter(|_| self.total >= self.amount)?;
        let micros = first.saturating_add(self.per).saturating_sub(now.as_micros()).max(1);
        Some(Duration::from_micros(micros.unsigned_abs()))
    }

    /// Counts `amount` as used now.
    pub(super) fn spend(&mut self, now: Time, amount: u64) {
        let now = now.as_micros();
        self.forget(now);
        self.total = self.total.saturating_add(amount);
        // Counted at the end of its share, so never forgotten too early.
        let share = (self.per / SHARES).max(1);
        let end = now.saturating_sub(now.rem_euclid(share)).saturating_add(share - 1);
        match self.used.back_mut() {
            Some((last, used)) if *last == end => *used = used.saturating_add(amount),
            _ => self.used.push_back((end, amount)),
        }
    }

    fn forget(&mut self, now: i64) {
        // The clock was set back: what was used is as good as used now.
        let share = (self.per / SHARES).max(1);
        if self.used.back().is_some_and(|(last, _)| *last > now.saturating_add(share)) {
            self.used.iter_mut().for_each(|(at, _)| *at = (*at).min(now));
        }
        while let Some((at, amount)) = self.used.front().copied()
            && at.saturating_add(self.per) <= now
        {
            self.used.pop_front();
            self.total = self.total.saturating_sub(amount);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn window(amount: u64, per: u64) -> Window {
        Window::new(amount, Duration::from_micros(per))
    }

    #[test]
    fn a_clock_that_is_set_back_blocks_nobody_for_longer_than_the_window() {
        let mut window = window(1, 1_000_000);
        window.spend(Time::from_micros(1_000_000_000_000), 1);
        let now = Time::from_micros(0);
        let wait = window.wait(now).unwrap();
        assert!(wait <= Duration::from_secs(1), "{wait:?}");
        assert_eq!(window.wait(Time::from_micros(1_001_000)), None);
    }

    #[test]
    fn the_stricter_of_two_counts() {
        let mut window = None;
        Window::tighten(&mut window, 10, Duration::from_secs(1));
        Window::tighten(&mut window, 100, Duration::from_secs(60));
        Window::tighten(&mut window, 100, Duration::from_secs(1));
        let window = window.unwrap();
        assert_eq!((window.amount, window.per), (100, 60_000_000));
    }

    proptest! {
        #[test]
        fn no_span_holds_more_than_its_amount(
            amount in 1u64..20,
            per in 1u64..5_000,
            pauses in prop::collection::vec(0u64..3_000, 1..200),
        ) {
            let mut window = window(amount, per);
            let mut now = 0i64;
            let mut begun = Vec::new();
            for pause in pauses {
                now += pause as i64;
                while let Some(wait) = window.wait(Time::from_micros(now)) {
                    now += wait.as_micros() as i64;
                }
                window.spend(Time::from_micros(now), 1);
                begun.push(now);
            }
            for first in &begun {
                let within = begun.iter().filter(|at| (*first..*first + per as i64).contains(*at)).count();
                prop_assert!(within as u64 <= amount);
            }
        }
    }
}
