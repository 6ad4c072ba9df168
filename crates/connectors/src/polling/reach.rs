//! How far a stream has been read, by the marks of its records.
//!
//! A sweep takes time, and records change meanwhile: one that was passed already, and then another that is yet to come and gets a greater
//! mark. Whoever went on from the greatest mark of the sweep would never see the first. So a stream counts as read only up to a mark that
//! was there when the sweep began.

use serde::{Deserialize, Serialize};
use tidemark_engine::{Result, Time, change::Value};

use super::watermark::{self, Overlap, greater};

/// How far apart our clock and the source's may be.
const CLOCKS_MICROS: i64 = 3_600_000_000;

/// How far a stream has been read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reach {
    /// Whatever has changed since, without having been read, has this mark or a greater one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    read_to: Option<String>,
    /// The greatest mark of all sweeps that have ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    greatest: Option<String>,
}

/// The marks of one sweep's records so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marks {
    /// How many pages there were.
    pub(crate) pages: u64,
    /// The greatest mark on the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first: Option<String>,
    /// On all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    greatest: Option<String>,
}

impl Marks {
    /// Adds a page and its greatest mark.
    pub(crate) fn add_page(&mut self, mark: Option<String>) {
        if self.pages == 0 {
            self.first.clone_from(&mark);
        }
        self.pages += 1;
        self.greatest = greater(self.greatest.take(), mark);
    }
}

impl Reach {
    /// From where to read on; `None`: from the beginning.
    pub(crate) fn back(&self, overlap: Overlap) -> Result<Option<String>> {
        self.read_to.as_deref().map(|mark| watermark::back(mark, overlap)).transpose()
    }

    /// A sweep that began at `begun` has ended, with these marks; `is_proof` says whether it has brought all that it was to bring.
    pub(crate) fn end_sweep(&mut self, marks: Marks, begun: Time, is_proof: bool) {
        let Marks { pages, first, greatest } = marks;
        let before = self.greatest.take();
        // What is on one page is of one moment.
        let there_at_first = if pages <= 1 { greatest.clone() } else { greater(before.clone(), first) };
        self.greatest = greater(before, greatest);
        if is_proof {
            let by_the_clock =
                self.greatest.as_deref().filter(|mark| watermark::is_universal(mark)).map(|mark| {
                    let begun =
                        Value::TimestampTz(begun.as_micros().saturating_sub(CLOCKS_MICROS)).to_string();
                    if watermark::compare(mark, &begun).is_lt() { mark.to_owned() } else { begun }
                });
            self.read_to = greater(self.read_to.take(), greater(there_at_first, by_the_clock));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(marks: [&str; 2]) -> Reach {
        let [read_to, greatest] = marks.map(|mark| Some(mark.to_owned()).filter(|mark| !mark.is_empty()));
        Reach { read_to, greatest }
    }

    fn swept(reach: &Reach, pages: &[&str], begun: &str) -> Reach {
        let (mut reach, mut marks) = (reach.clone(), Marks::default());
        pages
            .iter()
            .for_each(|mark| marks.add_page(Some((*mark).to_owned()).filter(|mark| !mark.is_empty())));
        reach.end_sweep(marks, Time::parse(begun).unwrap(), true);
        reach
    }

    const BEGUN: &str = "2013-01-01T12:00:00Z";

    #[test]
    fn a_page_alone_is_read_to_its_greatest_mark() {
        assert_eq!(swept(&Reach::default(), &["7"], BEGUN), reach(["7", "7"]));
        assert_eq!(swept(&reach(["7", "7"]), &[""], BEGUN), reach(["7", "7"]));
    }

    #[test]
    fn of_several_pages_what_was_there_before_counts() {
        let first = swept(&Reach::default(), &["3", "9", "5"], BEGUN);
        assert_eq!(first, reach(["3", "9"]));
        let second = swept(&first, &["4", "12"], BEGUN);
        assert_eq!(second, reach(["9", "12"]), "9 was there when the second sweep began");
        assert_eq!(swept(&Reach::default(), &["", "9"], BEGUN), reach(["", "9"]), "nobody knows");
    }

    #[test]
    fn a_moment_long_before_the_sweep_was_there_before() {
        let (early, late) = ("2013-01-01T10:00:00Z", "2013-01-01T12:30:00Z");
        assert_eq!(swept(&Reach::default(), &["", early], BEGUN), reach([early, early]));
        assert_eq!(swept(&Reach::default(), &["", late], BEGUN), reach(["2013-01-01T11:00:00Z", late]));
        let local = "2013-01-01T10:00:00";
        assert_eq!(swept(&Reach::default(), &["", local], BEGUN), reach(["", local]), "whose clock is that?");
    }
}
