//! Tables that come and go while the source is read.
//!
//! The server's log tells of the tables that are published, not of those that should be. So the catalog is looked at from time to
//! time; when other tables are to be read than are, the run ends at the next boundary and is begun again, which reads the new ones.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use tidemark_engine::{Error, Result, Stop, world::World};
use tokio_postgres::Client;

use super::{
    Source, catalog, check,
    publication::{Edition, Publication},
    selection::{Selection, TableToRead},
    table::Table,
};
use crate::postgres::connection::{Session, failure};

/// How often the catalog is looked at: one query that reads `pg_class`.
const LOOK: Duration = Duration::from_secs(10);

/// Something else whenever tables come, go, or may be read by others; and whenever what the publication has of them is another.
const FINGERPRINT: &str = "
    SELECT md5(coalesce(string_agg(concat_ws(' ', c.oid, c.relname, c.relpersistence, c.relowner, c.relacl), ',' ORDER BY c.oid), '')),
           (SELECT md5(coalesce(string_agg(to_jsonb(r)::text, ',' ORDER BY r.prrelid), ''))
            FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid
            WHERE p.pubname = $1::text::name)
           || coalesce((SELECT md5(to_jsonb(p)::text) FROM pg_catalog.pg_publication p WHERE p.pubname = $1::text::name), '')
    FROM pg_catalog.pg_class c
    WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'";

/// Looks for tables that are to be read and are not, or the other way round.
pub(super) struct Watch {
    pub(super) source: Source,
    /// Those that are read.
    pub(super) tables: Vec<Arc<Table>>,
    /// What they are read through.
    pub(super) publication: Option<Edition>,
    /// The names of all that were ever read.
    pub(super) known: BTreeSet<String>,
    /// Thrown when the run is to begin again.
    pub(super) again: Stop,
    pub(super) world: World,
}

/// What a look found.
struct Found {
    /// The run is to begin again: other tables are to be read than are, or what is read is not published as it was.
    differs: bool,
    /// What keeps tables from being read, or the run from beginning again.
    in_the_way: Vec<Error>,
}

impl Watch {
    /// Looks until dropped. A server that does not answer is asked again later: whoever reads from it will say so.
    pub(super) async fn run(self) -> Infallible {
        let (mut session, mut seen) = (None, None);
        let mut said = BTreeSet::new();
        loop {
            self.world.sleep(LOOK).await;
            match self.look(&mut session, &mut seen).await {
                Ok(None) => {}
                Ok(Some(Found { differs, in_the_way })) => {
                    for error in in_the_way {
                        if said.insert(error.to_string()) {
                            tracing::warn!(%error, hint = error.hint_text(), "not every table that is to be read can be: those that are read go on");
                        }
                    }
                    if differs {
                        tracing::info!(
                            "other tables are to be read than are, or they are published in another way: the stream is opened again"
                        );
                        self.again.stop();
                        return std::future::pending().await;
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "cannot look for new tables");
                    (session, seen) = (None, None);
                }
            }
        }
    }

    /// What is found; `None` when nothing has changed since the last look.
    async fn look(
        &self,
        session: &mut Option<Session>,
        seen: &mut Option<(String, String)>,
    ) -> Result<Option<Found>> {
        let session = match session {
            Some(session) => session,
            None => session.insert(self.source.server.connect("catalog").await?),
        };
        let row = session.query_one(FINGERPRINT, &[&self.source.publication()]).await;
        let row = row.map_err(|error| failure("cannot look for new tables", error))?;
        let fingerprint = (row.get(0), row.get(1));
        if seen.as_ref() == Some(&fingerprint) {
            return Ok(None);
        }
        let found = self.compare(session).await?;
        // What is in the way may go without a trace in the fingerprint.
        *seen = found.in_the_way.is_empty().then_some(fingerprint);
        Ok(Some(found))
    }

    async fn compare(&self, session: &Client) -> Result<Found> {
        let all = catalog::tables(session).await?;
        let publication = Publication::inspect(session, self.source.publication()).await?;
        if publication.as_ref().map(Publication::edition) != self.publication {
            // It would be noticed at the next start only if it stayed so.
            return Ok(Found { differs: true, in_the_way: Vec::new() });
        }
        let known: BTreeSet<_> = self.known.iter().cloned().chain(self.names()).collect();
        let Selection { tables, problems, .. } =
            Selection::knowing(self.source.config.streams.as_ref(), &all, &known);
        if !problems.is_empty() {
            // The run could not begin again. What is read already goes on.
            return Ok(Found { differs: false, in_the_way: problems });
        }
        let which = |wanted: &TableToRead| (wanted.table.oid, wanted.table.id.to_string());
        let now: BTreeSet<_> = tables.iter().map(which).collect();
        let read: BTreeMap<_, _> =
            self.tables.iter().map(|table| ((table.oid, table.id.to_string()), table.published)).collect();
        let (known, new): (Vec<_>, Vec<_>) =
            tables.into_iter().partition(|wanted| read.contains_key(&which(wanted)));
        let mut in_the_way: Vec<_> =
            new.iter().filter_map(|wanted| self.obstacle(wanted, publication.as_ref())).collect();
        // What is not published of a table is not told of, and nobody else would say so before the next start.
        let wrong: Vec<_> = publication.iter().flat_map(|publication| publication.problems(&known)).collect();
        let row = |wanted: &TableToRead| publication.as_ref()?.row(&wanted.table.id);
        let has_gap = known.iter().any(|wanted| read.get(&which(wanted)) != Some(&row(wanted)));
        // Our own publication is mended by beginning again. Another has to be mended first, and the gap is noticed then.
        let mends = self.source.config.publication.is_none() || wrong.is_empty();
        in_the_way.extend(wrong);
        let differs = in_the_way.is_empty() && !now.iter().eq(read.keys());
        Ok(Found { differs: differs || (has_gap && mends), in_the_way })
    }

    /// The names of those that are read.
    fn names(&self) -> impl Iterator<Item = String> {
        self.tables.iter().map(|table| table.id.to_string())
    }

    /// What keeps a new table from being read: the run would fail of it.
    fn obstacle(&self, wanted: &TableToRead, publication: Option<&Publication>) -> Option<Error> {
        let id = &wanted.table.id;
        let tables = std::slice::from_ref(wanted);
        let user = || Error::denied(format!("table `{id}` is new, and this user may not read it"));
        if check::missing_grants(tables, "").is_some() || check::hidden_rows(tables, "").is_some() {
            return Some(user().hint("run `tidemark check FILE`: it says what to grant"));
        }
        if self.source.config.publication.is_some() {
            return publication.and_then(|publication| publication.problems(tables).into_iter().next());
        }
        let may_publish = wanted.table.rights.owner || publication.is_some_and(|made| made.has(id));
        (!may_publish).then(|| {
            Error::denied(format!("table `{id}` is new, and only its owner can publish it"))
                .hint("run `tidemark check FILE`: it says what to do")
        })
    }
}
