//! Files that together are all there is, such as an export that is replaced every night: read whole whenever one of them is another
//! than before, and compared with what was there.
//!
//! | Question | Module |
//! |---|---|
//! | Which files are there, and is anybody still writing to them? | `look` |
//! | What is the next page of a sweep over them? | `pages`, `reading` |
//! | Where does a sweep go on in another process? | `place` |

mod look;
mod pages;
mod place;
mod reading;

use std::sync::Arc;

use tidemark_engine::read::ReadContext;

use super::{
    layout::{Compared, Stream},
    stream::Place as Folder,
};
use crate::polling::{Changes, Plan, PolledStream};
use look::Looking;
use pages::FolderPages;

/// `stream`, whose files are in `folder`, to be read as `compared` says.
pub(super) fn polled(
    stream: Arc<Stream>,
    compared: &Compared,
    folder: Folder,
    cx: ReadContext,
) -> PolledStream {
    let plan = Plan {
        outline: stream.outline.clone(),
        changes: Changes::FullRefresh,
        ignored: compared.ignored.clone(),
        poll: folder.poll,
        keeps_vanished: false,
        max_deletes: compared.max_deletes,
        // A sweep whose files change before they are read to their ends is none.
        steady_pages: true,
    };
    let looking = Looking::new(stream, folder, compared.at_rest, cx);
    PolledStream { plan: Arc::new(plan), pages: Box::new(FolderPages::new(looking)) }
}
