//! The pages of one stream.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use tidemark_engine::{Error, Result, Time};

use super::{
    circle::Circle,
    endpoint::{Came, Endpoint, Outcome},
    place::{self, Place},
    values::Values,
};
use crate::polling::{Answer, Ask, Gone, Page, Pages, Records, Sweep};

/// One stream that is asked for at one address.
pub(super) struct HttpPages {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) stream: String,
    /// What stands under `with`.
    pub(super) with: BTreeMap<String, String>,
    pub(super) circle: Circle,
    /// Whether a page has come.
    pub(super) has_come: bool,
}

impl HttpPages {
    /// What templates can name.
    pub(super) fn values(&self, ask: &Ask) -> Values {
        let cursor = match &ask.sweep {
            Sweep::All => String::new(),
            Sweep::Since(mark) | Sweep::Delta(mark) => mark.clone(),
        };
        Values {
            cursor,
            now: rfc3339(ask.begun),
            stream: self.stream.clone(),
            with: self.with.clone(),
            ..Values::default()
        }
    }
}

#[async_trait]
impl Pages for HttpPages {
    async fn page(&mut self, ask: &Ask) -> Result<Answer> {
        let place = place::read::<Place>(ask.token.as_deref())?;
        // A delta link is the address itself; a token stands in a template.
        let first = match (&ask.sweep, &place) {
            (Sweep::Delta(delta), None) => self.endpoint.link(delta),
            _ => None,
        };
        let place = place.or(first);
        match self.endpoint.ask(place.as_ref(), &self.values(ask)).await? {
            Outcome::Came(came) => {
                self.has_come = true;
                came.into_answer(None, &mut self.circle, ask)
            }
            Outcome::Unchanged => Ok(Answer::Unchanged),
            Outcome::Gone => Ok(Answer::Expired),
            // A place that another process has kept, perhaps for days, makes no sense any more. One that the server has just given does.
            Outcome::Missing(error) | Outcome::Refused(error) if ask.token.is_some() && !self.has_come => {
                tracing::debug!(stream = self.stream, %error, "the page to go on with is not known any more");
                Ok(Answer::Expired)
            }
            Outcome::Missing(error) | Outcome::Refused(error) => Err(error),
        }
    }
}

impl Came {
    /// As a page; `next` is where it goes on when this is not for the page itself to say. Pages in a `circle` are refused.
    pub(super) fn into_answer(
        self,
        next: Option<Option<String>>,
        circle: &mut Circle,
        ask: &Ask,
    ) -> Result<Answer> {
        let next = match next {
            Some(next) => next,
            None => self.next.as_ref().map(place::write).transpose()?,
        };
        if circle.closes(ask.token.is_none(), next.as_deref()) {
            return Err(Error::data(format!("the pages of `{}` lead in a circle", self.origin))
                .hint("look at what the server sends, and at `paging`"));
        }
        Ok(Answer::Page(Page {
            records: Records::Text(self.decoded.records),
            gone: self.decoded.gone.map(|(rows, after)| Gone { records: Records::Text(rows), after }),
            next,
            delta: self.delta,
            bytes: self.bytes,
            origin: self.origin,
        }))
    }
}

/// As APIs expect moments: to the second, in UTC.
fn rfc3339(time: Time) -> String {
    let whole = Time::from_micros(time.as_micros().div_euclid(1_000_000) * 1_000_000);
    whole.to_string()
}
