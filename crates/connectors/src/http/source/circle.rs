//! Notices pages that lead in a circle.

/// Where a sweep has been, as little of it as it takes: one place, moved on after ever more pages (Brent's algorithm). A circle is
/// noticed within three rounds.
#[derive(Debug, Default)]
pub(super) struct Circle {
    mark: Option<String>,
    /// Pages since the mark was put.
    passed: u64,
    /// Pages after which it is put anew.
    until: u64,
}

impl Circle {
    /// Takes a step to the page at `next`, from the `first` page of a sweep or a later one; whether it has been there before.
    pub(super) fn closes(&mut self, is_first: bool, next: Option<&str>) -> bool {
        if is_first {
            *self = Self::default();
        }
        if next.is_some() && self.mark.as_deref() == next {
            return true;
        }
        self.passed += 1;
        if self.passed > self.until {
            *self = Self { mark: next.map(str::to_owned), passed: 0, until: 2 * self.until + 1 };
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_circle_is_noticed_and_nothing_else(before in 0_u64..200, round in 1_u64..200) {
            let place = |step: u64| (if step < before { step } else { before + (step - before) % round }).to_string();
            let mut circle = Circle::default();
            let mut closes = |step: u64, name: &str| circle.closes(step == 0, Some(name));
            let noticed = (0..3 * (before + round) + 4).find(|step| closes(*step, &place(*step)));
            prop_assert!(noticed.is_some_and(|step| step >= round));
            let mut straight = Circle::default();
            prop_assert!((0..1_000_u64).all(|step| !straight.closes(step == 0, Some(&step.to_string()))));
        }
    }
}
