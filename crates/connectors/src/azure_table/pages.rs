//! One table, as pages.

use std::sync::Arc;

use async_trait::async_trait;
use tidemark_engine::{Error, Result, schema::StreamName};

use super::{entities::Decoding, place::Place, query::Query, service::Service};
use crate::polling::{Answer, Ask, Page, Pages, Records, Sweep};

/// A table that is read in the order of its keys. An entity stays where it is, whatever becomes of others.
pub(super) struct TablePages {
    pub(super) service: Service,
    pub(super) stream: StreamName,
    pub(super) query: Query,
    pub(super) decoding: Decoding,
}

#[async_trait]
impl Pages for TablePages {
    async fn page(&mut self, ask: &Ask) -> Result<Answer> {
        let since = match &ask.sweep {
            Sweep::All => None,
            Sweep::Since(mark) => Some(mark.as_str()),
            Sweep::Delta(_) => {
                return Err(Error::internal("a table was asked for changes in a way it does not know"));
            }
        };
        let place = ask.token.as_deref().map(Place::from_token).transpose()?;
        let Query { table, .. } = &self.query;
        let request = self.query.request(&self.service.base, since, place.as_ref())?;
        let answer =
            self.service.entities(&request, table).await.map_err(|error| error.of_stream(&self.stream))?;
        let rows = self.decoding.decode(&answer.body, table)?;
        let next = Place::after(&answer.headers)?;
        if next.is_some() && next == place {
            return Err(Error::data(format!("the page after one of table `{table}` is the same page"))
                .of_stream(&self.stream));
        }
        Ok(Answer::Page(Page {
            records: Records::Text(Arc::new(rows)),
            gone: None,
            next: next.map(|next| next.to_token()).transpose()?,
            delta: None,
            bytes: answer.body.len(),
            origin: table.clone(),
        }))
    }
}
