//! Rows through COPY straight into their table: the quickest way there is, for rows that should be new to it.

use tidemark_engine::write::WriteMode;
use tokio_postgres::error::SqlState;

use super::{
    copy::Form,
    failure::{Failure, Result},
    piece::Piece,
    writer::Writer,
};
use crate::{metadata, postgres::identifier::quoted};

/// What came of a COPY.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Copied {
    /// All rows are in the table.
    All,
    /// Some are there already, or there twice: none of them is in the table by this.
    SomeAreThere,
}

/// Sets the savepoint that a COPY goes back to.
pub(super) const SAVEPOINT: &str = "SAVEPOINT copy";

/// Copies pieces of one table into it, inside a transaction.
pub(super) async fn copy(writer: &mut Writer, pieces: &[Piece]) -> Result<Copied> {
    writer.run(SAVEPOINT).await?;
    let copied = copy_in_savepoint(writer, pieces).await?;
    if copied == Copied::All {
        writer.run("RELEASE copy").await?;
    }
    Ok(copied)
}

/// The same within the savepoint `copy`, which is left where all rows are copied.
pub(super) async fn copy_in_savepoint(writer: &mut Writer, pieces: &[Piece]) -> Result<Copied> {
    let Some(first) = pieces.first() else { return Ok(Copied::All) };
    let table = first.table.id.sql();
    match copy_in_some_form(writer, pieces, &table, first.form()).await {
        Ok(()) => Ok(Copied::All),
        Err(failure) if failure.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
            writer.run("ROLLBACK TO copy; RELEASE copy").await?;
            Ok(Copied::SomeAreThere)
        }
        Err(failure) => Err(failure),
    }
}

/// Within the savepoint `copy`: in `form`, or as text where a value has no other.
async fn copy_in_some_form(writer: &mut Writer, pieces: &[Piece], into: &str, form: Form) -> Result<()> {
    match Piece::copy(pieces, writer, into, form).await {
        Err(Failure::NeedsText) => {
            writer.run("ROLLBACK TO copy").await?;
            Piece::copy(pieces, writer, into, Form::Text).await
        }
        outcome => outcome,
    }
}

/// Adds those changes of `pieces` that the table, one in `append`, does not have yet. Inside a transaction.
pub(super) async fn add_missing(writer: &mut Writer, pieces: &[Piece]) -> Result<()> {
    let Some(first) = pieces.first() else { return Ok(()) };
    debug_assert_eq!(first.mode, WriteMode::Append);
    let (table, columns) = (first.table.id.sql(), first.column_list());
    let staged = format!("pg_temp._tidemark_staged_{}", writer.next_number());
    writer
        .run(&format!(
            "CREATE TEMP TABLE {staged} AS SELECT {columns} FROM {table} WITH NO DATA; SAVEPOINT copy"
        ))
        .await?;
    copy_in_some_form(writer, pieces, &staged, first.form()).await?;
    let position = quoted(metadata::POSITION);
    writer
        .run(&format!(
            "INSERT INTO {table} ({columns}) SELECT {columns} FROM {staged} ON CONFLICT ({position}) DO NOTHING;
             RELEASE copy; DROP TABLE {staged}"
        ))
        .await
}
