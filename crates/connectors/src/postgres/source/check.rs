//! Everything that keeps the tables from being read, found before anything is made, each with the statement that mends it.

use tidemark_engine::{Error, Result};
use tokio_postgres::Client;

use super::{
    Source,
    catalog::{self, ReplicaIdentity},
    publication::{self, Publication},
    selection::{Selection, TableToRead},
    slot::Slot,
};
use crate::config::Findings;
use crate::postgres::{
    connection::failure,
    identifier::{TableId, quoted},
};

const OLDEST: i32 = 13_00_00;
/// The first version whose publications filter rows.
const FILTERS_ROWS: i32 = 15_00_00;
/// The slot, and a temporary one while tables are read.
const SLOTS: i32 = 2;

impl Source {
    /// Everything that stands in the way, as far as the server tells. Changes nothing.
    pub async fn check(&self) -> Findings {
        let mut findings = Findings::default();
        if let Err(error) = self.examine(&mut findings).await {
            findings.problems.push(error);
        }
        findings
    }

    async fn examine(&self, findings: &mut Findings) -> Result<()> {
        let session = self.server.connect("check").await?;
        let facts = Facts::read(&session).await?;
        if let Some(problem) = facts.unfit(&self.server.place()) {
            findings.problems.push(problem);
            return Ok(());
        }
        let slot = Slot::inspect(&session, self.slot()).await?;
        facts.judge(slot.is_some(), findings);
        self.judge_slot(slot.as_ref(), findings);
        let tables = catalog::tables(&session).await?;
        let selection = Selection::of(self.config.streams.as_ref(), &tables);
        findings.problems.extend(selection.problems);
        findings.warnings.extend(selection.warnings);
        let wanted = selection.tables;
        findings.problems.extend(missing_grants(&wanted, &facts.user));
        findings.problems.extend(hidden_rows(&wanted, &facts.user));
        for table in &wanted {
            judge_identity(table, findings);
            findings.problems.extend(problem_of_condition(&session, table, facts.version).await);
        }
        self.judge_publication(&session, &wanted, &facts, findings).await
    }

    fn judge_slot(&self, slot: Option<&Slot>, findings: &mut Findings) {
        match slot {
            Some(slot) => findings.problems.extend(slot.usable().err()),
            None if self.config.slot.is_some() => {
                let name = self.slot();
                let sql = format!("SELECT pg_create_logical_replication_slot('{name}', 'pgoutput');");
                let problem = Error::config(format!("there is no replication slot `{name}`"));
                findings.problems.push(problem.hint(format!("run `{sql}`, or leave `slot` out")));
            }
            None => {}
        }
    }

    async fn judge_publication(
        &self,
        session: &Client,
        wanted: &[TableToRead],
        facts: &Facts,
        findings: &mut Findings,
    ) -> Result<()> {
        let name = self.publication();
        let existing = Publication::inspect(session, name).await?;
        if self.config.publication.is_some() {
            findings.problems.extend(match existing {
                Some(publication) => publication.problems(wanted),
                None => vec![
                    Error::config(format!("there is no publication `{name}`"))
                        .hint(format!("run `{};`", publication::creation(name, wanted))),
                ],
            });
            return Ok(());
        }
        let to_add = existing.as_ref().map_or_else(|| wanted.iter().collect(), |made| made.lacks(wanted));
        if let Some(foreign) = to_add.iter().find(|table| !table.table.rights.owner) {
            findings.problems.push(
                Error::denied(format!(
                    "user `{}` does not own table `{}`, and only the owner can publish it",
                    facts.user, foreign.table.id
                ))
                .hint(format!(
                    "have the owner run `{};` and set `publication: {name}`",
                    publication::creation(name, wanted)
                )),
            );
        } else if existing.is_none() && !facts.may_create {
            findings.problems.push(
                Error::denied(format!("user `{}` may not create a publication", facts.user)).hint(format!(
                    "run `GRANT CREATE ON DATABASE {} TO {};`",
                    quoted(self.server.database()),
                    quoted(&facts.user)
                )),
            );
        }
        if let Some(made) = existing.filter(|_| to_add.is_empty()) {
            // Those that are to be filtered in another way are published anew.
            let as_it_is = |wanted: &&TableToRead| made.has_as(&wanted.table.id, wanted.condition.is_some());
            let as_it_is: Vec<_> = wanted.iter().filter(as_it_is).cloned().collect();
            findings.problems.extend(made.problems(&as_it_is));
        }
        Ok(())
    }
}

/// What the server is, and what we are to it.
struct Facts {
    version: i32,
    standby: bool,
    wal_level: String,
    slots: (i32, i32),
    senders: (i32, i32),
    keeps_everything: bool,
    may_replicate: bool,
    may_create: bool,
    user: String,
}

/// On Amazon RDS membership in a role stands for the attribute.
const FACTS: &str = "
    SELECT current_setting('server_version_num')::int, pg_is_in_recovery(), current_setting('wal_level'),
           current_setting('max_replication_slots')::int,
           (SELECT count(*)::int FROM pg_catalog.pg_replication_slots),
           current_setting('max_wal_senders')::int, (SELECT count(*)::int FROM pg_catalog.pg_stat_replication),
           coalesce(current_setting('max_slot_wal_keep_size', true) = '-1', false),
           EXISTS (SELECT 1 FROM pg_catalog.pg_roles r
                   WHERE (r.rolname = current_user AND (r.rolreplication OR r.rolsuper))
                      OR (r.rolname = 'rds_replication' AND pg_has_role(r.oid, 'MEMBER'))),
           has_database_privilege(current_database(), 'CREATE'), current_user::text";

impl Facts {
    async fn read(session: &Client) -> Result<Self> {
        let row = session.query_one(FACTS, &[]).await;
        let row = row.map_err(|error| failure("cannot read the server's settings", error))?;
        Ok(Self {
            version: row.get(0),
            standby: row.get(1),
            wal_level: row.get(2),
            slots: (row.get(3), row.get(4)),
            senders: (row.get(5), row.get(6)),
            keeps_everything: row.get(7),
            may_replicate: row.get(8),
            may_create: row.get(9),
            user: row.get(10),
        })
    }

    /// Why nothing else need be looked at.
    fn unfit(&self, place: &str) -> Option<Error> {
        if self.version < OLDEST {
            let version = self.version / 10_000;
            return Some(
                Error::config(format!("`{place}` is PostgreSQL {version}: it is too old to be read from"))
                    .hint("upgrade it to version 13 or later"),
            );
        }
        self.standby.then(|| {
            Error::config(format!("`{place}` is a standby: its tables and its log are the primary's"))
                .hint("connect to the primary")
        })
    }

    fn judge(&self, has_slot: bool, findings: &mut Findings) {
        let mut problem = |error: Error, hint: String| findings.problems.push(error.hint(hint));
        if self.wal_level != "logical" {
            problem(
                Error::config(format!("`wal_level` is `{}`: the log does not tell rows", self.wal_level)),
                "run `ALTER SYSTEM SET wal_level = logical;` and restart the server".to_owned(),
            );
        }
        let needed = SLOTS - i32::from(has_slot);
        for (setting, (most, taken), needed) in
            [("max_replication_slots", self.slots, needed), ("max_wal_senders", self.senders, SLOTS)]
        {
            if most - taken < needed {
                problem(
                    Error::config(format!(
                        "`{setting}` is {most}, of which {taken} are taken; {needed} are needed"
                    )),
                    format!("run `ALTER SYSTEM SET {setting} = {};` and restart the server", taken + needed),
                );
            }
        }
        if !self.may_replicate {
            problem(
                Error::denied(format!("user `{}` may not read the log", self.user)),
                format!("run `ALTER ROLE {} REPLICATION;`", quoted(&self.user)),
            );
        }
        if self.keeps_everything {
            let warning =
                Error::config("while nothing is read, the server keeps its log until its disk is full");
            findings.warnings.push(warning.hint(
                "set a limit, for instance `ALTER SYSTEM SET max_slot_wal_keep_size = '50GB';`: beyond it the tables \
                 have to be read again",
            ));
        }
    }
}

/// All that is missing, as one grant for the schemas and one for the tables.
pub(super) fn missing_grants(wanted: &[TableToRead], user: &str) -> Option<Error> {
    let mut schemas: Vec<&str> =
        wanted.iter().filter(|t| !t.table.rights.schema).map(|t| t.table.id.schema.as_str()).collect();
    schemas.dedup();
    let unreadable = |t: &&TableToRead| !t.table.rights.select && !t.columns().all(|column| column.select);
    let tables: Vec<&TableId> = wanted.iter().filter(unreadable).map(|t| &t.table.id).collect();
    let what = match (tables.first(), schemas.first()) {
        (Some(table), _) if tables.len() == 1 => format!("table `{table}`"),
        (Some(table), _) => format!("{} tables, `{table}` among them", tables.len()),
        (None, Some(schema)) => format!("schema `{schema}`"),
        (None, None) => return None,
    };
    let grant = |right: &str, on: Vec<String>| match on.is_empty() {
        true => None,
        false => Some(format!("GRANT {right} {} TO {};", on.join(", "), quoted(user))),
    };
    let grants = [
        grant("USAGE ON SCHEMA", schemas.into_iter().map(quoted).collect()),
        grant("SELECT ON", tables.iter().map(|table| table.sql()).collect()),
    ];
    let grants: Vec<String> = grants.into_iter().flatten().collect();
    Some(
        Error::denied(format!("user `{user}` may not read {what}"))
            .hint(format!("run `{}`", grants.join(" "))),
    )
}

/// Row-level security leaves rows out without a word.
pub(super) fn hidden_rows(wanted: &[TableToRead], user: &str) -> Option<Error> {
    let table = wanted.iter().find(|table| table.table.rights.hidden_rows)?;
    let error =
        Error::denied(format!("row-level security hides rows of `{}` from user `{user}`", table.table.id));
    Some(error.hint(format!("run `ALTER ROLE {} BYPASSRLS;`", quoted(user))))
}

/// Once published, a table whose log cannot tell its rows apart refuses its own updates and deletes.
fn judge_identity(wanted: &TableToRead, findings: &mut Findings) {
    let table = &wanted.table;
    let (id, sql) = (&table.id, table.id.sql());
    let keyless = table.primary_key.is_empty();
    let mends = match (&table.identity, keyless) {
        (ReplicaIdentity::Nothing, false) => Some("DEFAULT"),
        (ReplicaIdentity::Nothing | ReplicaIdentity::Default, true) => Some("FULL"),
        _ => None,
    };
    if let Some(identity) = mends {
        let warning = Error::config(format!(
            "`{id}` has no replica identity: once it is published, the server refuses to update or delete its rows"
        ));
        findings.warnings.push(warning.hint(format!(
            "run `ALTER TABLE {sql} REPLICA IDENTITY {identity};` unless rows are only ever added"
        )));
    }
    if wanted.key.is_empty() {
        let warning =
            Error::config(format!("`{id}` has no key: it can be appended to a destination, not mirrored"));
        findings.warnings.push(warning.hint("give it a primary key, or name its `key` under `streams`"));
    }
}

/// What is wrong with a table's `where`.
async fn problem_of_condition(session: &Client, wanted: &TableToRead, version: i32) -> Option<Error> {
    let condition = wanted.condition.as_ref()?;
    let table = &wanted.table;
    if version < FILTERS_ROWS {
        return Some(
            Error::config(format!("`where` of `{}` needs PostgreSQL 15 or later", table.id))
                .hint("leave it out, and filter at the destination"),
        );
    }
    let probe = format!("SELECT 1 FROM ONLY {} WHERE ({condition})", table.id.sql());
    if let Err(error) = session.prepare(&probe).await {
        return Some(failure(format!("`where` of `{}` cannot be used", table.id), error));
    }
    let identity = table.identity_columns();
    let untold = table
        .columns
        .iter()
        .find(|column| !identity.contains(&column.name.as_str()) && mentions(condition, &column.name))?;
    Some(
        Error::config(format!(
            "`where` of `{}` asks for column `{}`, which the log does not tell of updated and deleted rows",
            table.id, untold.name
        ))
        .hint(format!("run `ALTER TABLE {} REPLICA IDENTITY FULL;`", table.id.sql())),
    )
}

/// Whether `condition` has the word `column` in it.
fn mentions(condition: &str, column: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let plain = condition.split(|c| !word(c)).any(|name| name.eq_ignore_ascii_case(column));
    plain || condition.contains(&quoted(column))
}
