//! The service of one account: its tables, and what is asked of it.

use http::StatusCode;
use strsim::jaro_winkler;
use tidemark_engine::{Error, Result, world::World};
use url::Url;

use super::{config::SourceConfig, place, query};
use crate::{
    azure_storage::Account,
    http::client::{Answer, Budgets, Client, Request, Surroundings},
    records::{Cell, JsonCutter, Rows},
};

/// An account's tables, spoken to. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Service {
    client: Client,
    pub(super) base: Url,
}

impl Service {
    /// Touches no network.
    pub(super) fn new(config: &SourceConfig, world: World) -> Result<Self> {
        let account = config.account()?;
        let around = Surroundings {
            world,
            folder: std::path::Path::new(""),
            budgets: Budgets::of_process(),
            tokens: None,
        };
        let client = Client::new(&config.client(&account), &account.base, around)?;
        let Account { base, .. } = account;
        Ok(Self { client, base })
    }

    /// The names of all tables, as "Query Tables" lists them.
    pub(super) async fn tables(&self) -> Result<Vec<String>> {
        let origin = "the list of tables";
        let path = "$.value".parse()?;
        let (mut names, mut next) = (Vec::new(), None);
        loop {
            let answer =
                self.client.send(&query::tables(&self.base, next.clone())).await.map_err(Error::from)?;
            let tables = JsonCutter::default().records(&answer.body, &path, origin)?;
            let column = tables.names().iter().position(|name| name == "TableName");
            let name = |row| match column.map(|column| tables.cell(column, row)) {
                Some(Cell::Value { text, .. }) => Ok(text.to_owned()),
                _ => Err(Error::data("a table in the account's list has no name")),
            };
            names.extend((0..tables.len()).map(name).collect::<Result<Vec<_>>>()?);
            let following = place::next_table(&answer.headers)?;
            if following.is_none() {
                return Ok(names);
            }
            if following == next {
                return Err(Error::data("the list of the account's tables goes on with itself"));
            }
            next = following;
        }
    }

    /// The answer to `request`, which asks for entities of `table`.
    pub(super) async fn entities(&self, request: &Request, table: &str) -> Result<Answer> {
        let answer = self.client.send(request).await.map_err(|failure| match failure.status {
            Some(StatusCode::NOT_FOUND) => missing(table, &[]),
            _ => failure.into(),
        })?;
        match answer.status {
            StatusCode::OK => Ok(answer),
            status => Err(Error::data(format!("a query of table `{table}` was answered with {status}"))),
        }
    }
}

/// There is no `table`, but there are these.
pub(super) fn missing(table: &str, tables: &[String]) -> Error {
    let similar = |name: &&String| jaro_winkler(&table.to_lowercase(), &name.to_lowercase());
    let closest = tables.iter().max_by(|a, b| similar(a).total_cmp(&similar(b)));
    let hint = match closest {
        Some(name) if similar(&name) > 0.8 => format!("did you mean `{name}`?"),
        Some(_) => format!("choose from: {}", tables.join(", ")),
        None => {
            "make it, or take the stream out of the pipeline file: what is known of it has not been deleted"
                .to_owned()
        }
    };
    Error::config(format!("there is no table `{table}`")).hint(hint)
}
