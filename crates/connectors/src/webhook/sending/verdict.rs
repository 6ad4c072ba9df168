//! What an answer says of the messages that were sent.

use http::StatusCode;
use tidemark_engine::{Error, ErrorKind};
use url::Url;

use super::DestinationConfig;
use crate::http::client::{Answer, Failure};

/// A request that was not taken.
#[derive(Debug)]
pub(super) struct Refused {
    /// Whether that is for what it says.
    pub(super) is_the_message: bool,
    pub(super) error: Error,
}

impl Refused {
    /// Something is wrong with the message itself.
    pub(super) fn message(error: Error) -> Self {
        Self { is_the_message: error.kind() == ErrorKind::Data, error }
    }
}

impl DestinationConfig {
    /// Whether the request to `url` was taken.
    pub(super) fn verdict(&self, url: &Url, sent: Result<Answer, Failure>) -> Result<(), Refused> {
        let failure = match sent {
            Ok(answer) if answer.url != *url => {
                // What a redirect makes of a request may have lost its body on the way.
                let error = Error::config(format!("`{}` sends on to another address", self.url.text()));
                let error = error.hint("give the address that it ends at");
                return Err(Refused { is_the_message: false, error });
            }
            Ok(answer) if answer.status.is_success() => return Ok(()),
            Ok(answer) => {
                let error = Error::data(format!("`{}` was answered with {}", self.url.text(), answer.status));
                return Err(Refused::message(error));
            }
            Err(failure) => failure,
        };
        let (status, error) = (failure.status, self.told(url, failure.into()));
        let number = status.map(|status| status.as_u16());
        if number.is_some_and(|number| self.done_on.contains(&number)) {
            return Ok(());
        }
        if number.is_some_and(|number| self.retry_on.contains(&number)) {
            let error = Error::unavailable(error.message());
            return Err(Refused { is_the_message: false, error });
        }
        let is_the_message = status.is_some_and(|status| self.blames_the_message(status));
        let error = match (is_the_message, error.kind()) {
            (true, ErrorKind::Data) | (false, _) => error,
            (true, _) => Error::data(error.message())
                .hint("see what the server wants; `done_on` lists statuses that count as success"),
        };
        Err(Refused { is_the_message, error })
    }

    /// Whether another message may fare better. Who we are, and a method that is not known, concern all; so does an address that is not
    /// there, unless it is of one record.
    fn blames_the_message(&self, status: StatusCode) -> bool {
        match status.as_u16() {
            401 | 403 | 407 | 408 | 425 | 429 => false,
            404 | 405 | 410 => self.url.fixed().is_none(),
            406 | 415 => false,
            400..=499 => true,
            _ => false,
        }
    }

    /// The error without what a change has put into the URL.
    fn told(&self, url: &Url, error: Error) -> Error {
        if self.url.fixed().is_some() {
            return error;
        }
        let mut shown = url.clone();
        shown.set_query(None);
        shown.set_fragment(None);
        let told = Error::new(error.kind(), error.message().replace(shown.as_str(), self.url.text()));
        match error.hint_text() {
            Some(hint) => told.hint(hint),
            None => told,
        }
    }
}
