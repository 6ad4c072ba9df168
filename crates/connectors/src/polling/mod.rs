//! Sources that have to be asked: what has changed is found by comparing, by a mark that grows, or told by the system itself. A
//! connector says what a page is (`Pages`); all else is here, the same for every system.
//!
//! | Question | Module |
//! |---|---|
//! | What does a system have to offer? | `page` |
//! | How is a stream read? | `plan` |
//! | When is what asked, and what does a sweep prove? | `strategy`, `stream`, `paging` |
//! | How far has it been read, by the marks of its records? | `reach`, `watermark` |
//! | What tells records apart, and which are known? | `identity`, `known` |
//! | Which changes are records that come? | `news`, `shaper`, `subset` |
//! | How do they come into the log? | `intake` |
//! | How many may be gone? | `vanished` |
//! | Where does it go on after an end? | `cursor` |

mod cursor;
mod identity;
mod intake;
pub mod known;
mod news;
mod page;
mod paging;
mod plan;
mod reach;
mod shaper;
mod strategy;
mod stream;
mod subset;
#[cfg(test)]
mod tests;
mod vanished;
mod watermark;

pub(crate) use page::{Answer, Ask, Gone, Page, Pages, Records, Sweep};
pub(crate) use plan::{Changes, Plan};
pub(crate) use strategy::{Polled, PolledStream, PollingStrategy, Stand, read};
pub(crate) use subset::Subset;
pub(crate) use watermark::{Overlap, compare};
