//! A session that writes: statements, and rows in bulk by LOAD DATA LOCAL. <https://mariadb.com/kb/en/load-data-infile/>

use std::io;

use bytes::Bytes;
use futures::{StreamExt, stream};
use mysql_async::{
    Conn, Params,
    prelude::{FromRow, Queryable},
};
use tidemark_engine::Result as EngineResult;

use crate::mariadb::{failure::Result, server::Server};

/// So much of what is loaded goes in one packet; the server takes no larger ones than `max_allowed_packet`, at least 1 KiB and by default
/// 16 MiB.
const PACKET: usize = 64 << 10;

/// A session that writes.
pub(super) struct Writer {
    session: Conn,
    /// How many names for temporary tables have been given.
    numbers: usize,
}

/// What the server makes of rows that it was given. LOCAL makes warnings of errors, and leaves out or alters what is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loaded {
    All,
    /// Not all, or not as they are. The code of the first warning.
    Warned(u16),
}

impl Writer {
    pub(super) async fn connect(server: &Server) -> EngineResult<Self> {
        Ok(Self { session: server.connect().await?, numbers: 0 })
    }

    /// Runs a statement and tells how many rows it touched.
    pub(super) async fn run(&mut self, sql: &str) -> Result<u64> {
        self.session.query_drop(sql).await?;
        Ok(self.session.affected_rows())
    }

    /// The same, with parameters.
    pub(super) async fn execute(&mut self, sql: &str, parameters: impl Into<Params> + Send) -> Result<u64> {
        self.session.exec_drop(sql, parameters).await?;
        Ok(self.session.affected_rows())
    }

    /// The rows of a query.
    pub(super) async fn rows<R: FromRow + Send + 'static>(
        &mut self,
        sql: &str,
        parameters: impl Into<Params> + Send,
    ) -> Result<Vec<R>> {
        Ok(self.session.exec(sql, parameters).await?)
    }

    /// The first row of a query.
    pub(super) async fn first<R: FromRow + Send + 'static>(
        &mut self,
        sql: &str,
        parameters: impl Into<Params> + Send,
    ) -> Result<Option<R>> {
        Ok(self.session.exec_first(sql, parameters).await?)
    }

    /// Loads `rows` into `columns` of `table`, both as SQL.
    pub(super) async fn load(&mut self, table: &str, columns: &str, rows: Bytes) -> Result<Loaded> {
        let packets = (0..rows.len()).step_by(PACKET);
        let packets =
            packets.map(|at| Ok(rows.slice(at..rows.len().min(at + PACKET)))).collect::<Vec<io::Result<_>>>();
        // Whatever file the server asks for: it is given the rows.
        self.session.set_infile_handler(async move { Ok(stream::iter(packets).boxed()) });
        let sql = format!(
            r"LOAD DATA LOCAL INFILE 'rows' INTO TABLE {table} CHARACTER SET binary
              FIELDS TERMINATED BY '\t' ESCAPED BY '\\' LINES TERMINATED BY '\n' ({columns})"
        );
        self.session.query_drop(sql).await?;
        if self.session.get_warnings() == 0 {
            return Ok(Loaded::All);
        }
        let warning: Option<(String, u16, String)> =
            self.session.query_first("SHOW WARNINGS LIMIT 1").await?;
        Ok(Loaded::Warned(warning.map_or(0, |(_, code, _)| code)))
    }

    /// A number that no temporary table of this session has.
    pub(super) fn next_number(&mut self) -> usize {
        self.numbers += 1;
        self.numbers
    }
}
