//! Whether a database can be written to, found out without changing it.

use tidemark_engine::Error;
use tokio_postgres::Client;

use super::{failure::Result, ledger, shadow};
use crate::{
    config::Writing,
    postgres::{
        connection::Server,
        identifier::{TableId, quoted},
    },
};

/// The oldest version whose catalogs and SQL we rely on.
const OLDEST: i32 = 13;

/// Everything that is wrong, at once.
pub(super) async fn check(server: &Server, schema: Option<&str>, writing: &Writing) -> Vec<Error> {
    let session = match server.connect("check").await {
        Ok(session) => session,
        Err(error) => return vec![error],
    };
    let check = Check { client: &session, server, errors: Vec::new() };
    let doing = format!("cannot check `{}`", server.place());
    check.all(schema, writing).await.unwrap_or_else(|failure| vec![failure.explain(doing)])
}

struct Check<'a> {
    client: &'a Client,
    server: &'a Server,
    errors: Vec<Error>,
}

impl Check<'_> {
    async fn all(mut self, schema: Option<&str>, writing: &Writing) -> Result<Vec<Error>> {
        if !self.is_writable().await? {
            return Ok(self.errors);
        }
        self.temporary_tables().await?;
        let has_ledger = self.ledger().await?;
        if let Some(schema) = schema {
            self.schema(schema).await?;
        }
        if has_ledger {
            self.tables(writing).await?;
        }
        Ok(self.errors)
    }

    async fn holds(&self, condition: &str, name: &str) -> Result<bool> {
        Ok(self.client.query_one(&format!("SELECT {condition}"), &[&name]).await?.get::<_, Option<bool>>(0)
            == Some(true))
    }

    fn grant(&mut self, what: String, grant: &str) {
        let user = quoted(self.server.user());
        self.errors.push(Error::denied(what).hint(format!("run: GRANT {grant} TO {user}")));
    }

    /// The server's version and its part. Without these nothing else matters.
    async fn is_writable(&mut self) -> Result<bool> {
        let sql = "SELECT current_setting('server_version_num')::int, current_setting('server_version'),
                          pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'";
        let row = self.client.query_one(sql, &[]).await?;
        let (number, version): (i32, String) = (row.get(0), row.get(1));
        let place = self.server.place();
        if number / 10_000 < OLDEST {
            let error = Error::config(format!("`{place}` is PostgreSQL {version}"));
            self.errors
                .push(error.hint(format!("upgrade it: version {OLDEST} is the oldest that is supported")));
        } else if row.get(2) {
            let error = Error::config(format!("`{place}` is a standby, which cannot be written to"));
            self.errors.push(error.hint("name its primary with `url`"));
        } else if row.get(3) {
            let error = Error::config(format!("`{place}` is read-only for `{}`", self.server.user()));
            self.errors
                .push(error.hint("set `default_transaction_read_only` to off for the user and the database"));
        }
        Ok(self.errors.is_empty())
    }

    async fn temporary_tables(&mut self) -> Result<()> {
        let database = self.server.database().to_owned();
        if !self.holds("has_database_privilege($1::text, 'TEMP')", &database).await? {
            let what = format!("`{}` may not make temporary tables in `{database}`", self.server.user());
            self.grant(what, &format!("TEMPORARY ON DATABASE {}", quoted(&database)));
        }
        Ok(())
    }

    /// Whether there is a ledger yet; if not, whether it may be made, else whether it may be written to.
    async fn ledger(&mut self) -> Result<bool> {
        let database = self.server.database();
        if !self.holds("to_regnamespace($1::text) IS NOT NULL", ledger::SCHEMA).await? {
            if !self.holds("has_database_privilege($1::text, 'CREATE')", database).await? {
                self.errors.push(ledger::may_not_make(self.server, false));
            }
            return Ok(false);
        }
        if !self.holds("has_schema_privilege($1::text, 'USAGE')", ledger::SCHEMA).await? {
            self.errors.push(ledger::may_not_make(self.server, true));
            return Ok(false);
        }
        if !ledger::exists(self.client).await? {
            if !self.holds("has_schema_privilege($1::text, 'CREATE')", ledger::SCHEMA).await? {
                self.errors.push(ledger::may_not_make(self.server, true));
            }
            return Ok(false);
        }
        let mut is_ours = true;
        for table in ["positions", "tables", "loaded", "sessions"] {
            let id = TableId { schema: ledger::SCHEMA.to_owned(), name: table.to_owned() };
            is_ours &= self.may_write(&id).await?;
        }
        Ok(is_ours)
    }

    /// Whether rows of `table` may be read and written; says so if not.
    async fn may_write(&mut self, table: &TableId) -> Result<bool> {
        let sql = "SELECT right_ FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS right_
                   WHERE NOT has_table_privilege($1::text, right_)";
        let lacking = self.client.query(sql, &[&table.sql()]).await?;
        let lacking = lacking.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>();
        if lacking.is_empty() {
            return Ok(true);
        }
        let what = format!("`{}` may not write to table `{table}`", self.server.user());
        self.grant(what, &format!("{} ON {}", lacking.join(", "), table.sql()));
        Ok(false)
    }

    /// The one schema that the pipeline file names.
    async fn schema(&mut self, schema: &str) -> Result<()> {
        let (user, database) = (self.server.user().to_owned(), self.server.database().to_owned());
        let exists = "EXISTS (SELECT FROM pg_namespace WHERE nspname = $1::text)";
        if !self.holds(exists, schema).await? {
            if !self.holds("has_database_privilege($1::text, 'CREATE')", &database).await? {
                let what = format!("schema `{schema}` is missing, and `{user}` may not make it");
                self.grant(what, &format!("CREATE ON DATABASE {}", quoted(&database)));
            }
            return Ok(());
        }
        if !self.holds("has_schema_privilege($1::text, 'USAGE, CREATE')", schema).await?
            || !self.holds("has_schema_privilege($1::text, 'CREATE')", schema).await?
        {
            let what = format!("`{user}` may not make tables in schema `{schema}`");
            self.grant(what, &format!("USAGE, CREATE ON SCHEMA {}", quoted(schema)));
        }
        Ok(())
    }

    /// The tables that the destination has written to before.
    async fn tables(&mut self, writing: &Writing) -> Result<()> {
        let sql = "SELECT t.schema, t.name, t.mode FROM _tidemark.tables AS t
                   JOIN pg_namespace AS n ON n.nspname = t.schema
                   JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = t.name
                   WHERE t.destination = $1";
        for row in self.client.query(sql, &[&shadow::destination(writing)]).await? {
            let table = TableId { schema: row.get(0), name: row.get(1) };
            if row.get::<_, &str>(2) != writing.mode.as_str() {
                self.errors.push(made_for_another_mode(&table));
            } else {
                self.may_write(&table).await?;
            }
        }
        Ok(())
    }
}

/// That a table's shape is that of another write mode.
pub(super) fn made_for_another_mode(table: &TableId) -> Error {
    Error::conflict(format!("table `{table}` was made for another write mode"))
        .hint("go back to the former `write`, or give the destination another name and `table`")
}
