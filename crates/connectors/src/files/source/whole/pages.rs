//! The files of a stream, as pages.

use std::sync::Arc;

use async_trait::async_trait;
use tidemark_engine::{Error, Result};

use super::{
    super::folder::Found,
    look::Looking,
    reading::{Reading, Step},
};
use crate::{
    polling::{Answer, Ask, Page, Pages, Records, Sweep},
    records::BuiltRows,
};

/// A folder that is read whole, sweep after sweep. A page is some records of one file.
///
/// - A sweep begins when nobody has written to the files for a while.
/// - It has expired when one of them is not what it was before it was read to its end, so that what a complete one did not find is gone:
///   a record that moves from a file still to be read into one that has been read changes the former.
pub(super) struct FolderPages {
    looking: Looking,
    /// The sweep that is under way in this process.
    reading: Option<Reading>,
    /// The files of the last complete one.
    swept: Option<Arc<Vec<Found>>>,
}

impl FolderPages {
    pub(super) fn new(looking: Looking) -> Self {
        Self { looking, reading: None, swept: None }
    }

    /// The sweep that `ask` begins or goes on with.
    async fn reading(&mut self, ask: &Ask) -> Result<Result<Reading, Answer>> {
        let under_way = self.reading.take();
        let Some(token) = &ask.token else {
            let before = self.swept.as_ref().filter(|_| ask.unless_unchanged).map(|files| files.as_slice());
            let files = self.looking.at_rest(before).await?;
            let stream = self.looking.stream.clone();
            return Ok(files.map(|files| Reading::new(stream, files)).ok_or(Answer::Unchanged));
        };
        match under_way {
            Some(reading) if reading.token.as_ref() == Some(token) => Ok(Ok(reading)),
            _ => {
                let files = self.looking.now().await?;
                Ok(Reading::at(self.looking.stream.clone(), files, token).ok_or(Answer::Expired))
            }
        }
    }
}

#[async_trait]
impl Pages for FolderPages {
    async fn page(&mut self, ask: &Ask) -> Result<Answer> {
        if ask.sweep != Sweep::All {
            return Err(Error::internal("files were asked for changes in a way they do not know"));
        }
        let mut reading = match self.reading(ask).await? {
            Ok(reading) => reading,
            Err(answer) => return Ok(answer),
        };
        let work = move || reading.step().map(|step| (reading, step));
        let (reading, step) = self.looking.cx.world.compute(work).await??;
        let page = |records, next, bytes, origin| {
            Ok(Answer::Page(Page { records, gone: None, next, delta: None, bytes, origin }))
        };
        match step {
            Step::Records { records, bytes, origin } => {
                let next = reading.token.clone();
                self.reading = Some(reading);
                page(records, next, bytes, origin)
            }
            Step::End => {
                self.swept = Some(reading.files);
                let none = Records::Text(Arc::new(BuiltRows::default()));
                page(none, None, 0, self.looking.stream.pattern())
            }
            Step::Changed => Ok(Answer::Expired),
        }
    }
}
