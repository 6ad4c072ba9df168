//! Whether a database can be written to, found out without changing it.

use tidemark_engine::Error;

use super::{ledger, table::check_mode, writer::Writer};
use crate::{
    config::Writing,
    mariadb::{failure::Result, server::Server},
    tables::Identity,
};

/// Everything that would keep `writing` from being done there, as far as can be told before the streams are known.
pub(super) async fn check(server: &Server, writing: &Writing) -> Vec<Error> {
    let mut writer = match Writer::connect(server).await {
        Ok(writer) => writer,
        Err(error) => return vec![error],
    };
    let doing = || format!("cannot write to `{}`", server.place());
    let mut problems = Vec::new();
    for found in [
        loads(&mut writer, server).await,
        has_leave(&mut writer, server).await,
        modes(&mut writer, writing).await,
    ] {
        problems.extend(found.err().map(|failure| failure.explain(doing())));
    }
    problems
}

/// Rows come by LOAD DATA LOCAL.
pub(super) async fn loads(writer: &mut Writer, server: &Server) -> Result<()> {
    if writer.first::<bool>("SELECT @@local_infile", ()).await? == Some(true) {
        return Ok(());
    }
    Err(Error::config(format!("the server of `{}` takes no LOAD DATA LOCAL", server.place()))
        .hint("set `local_infile = ON` on the server")
        .into())
}

/// Making a temporary table says whether the user may make any; nobody else sees it.
async fn has_leave(writer: &mut Writer, server: &Server) -> Result<()> {
    let made = writer.run("CREATE TEMPORARY TABLE _tidemark_check (id INT) ENGINE = InnoDB").await;
    made.map_err(|failure| {
        let error = failure.explain(format_args!("cannot make tables in `{}`", server.place()));
        error.hint("grant the user ALL on the database: tables are made, altered, read and written there")
    })?;
    Ok(())
}

/// Tables that are there must be kept in the mode that is asked for.
async fn modes(writer: &mut Writer, writing: &Writing) -> Result<()> {
    if ledger::engine(writer, "_tidemark_tables").await?.is_none() {
        return Ok(());
    }
    for (table, kept) in ledger::modes(writer, Identity::of(writing).name()).await? {
        check_mode(&table, &kept, writing.mode)?;
    }
    Ok(())
}
