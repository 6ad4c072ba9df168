//! Shadows that take the places of tables. A table stays what it is to others, with its views, indexes and triggers: what it
//! holds becomes what its shadow holds, by the differences alone where records have a key.

use rusqlite::Connection;
use tidemark_engine::{
    LogId, Time,
    schema::StreamName,
    write::{Takeover, WriteMode},
};

use super::{
    exchange::{Exchange, Vacancy, vacate},
    ledger,
    table::Terms,
};
use crate::{
    config::Writing,
    sqlite::{failure::Result, identifier::quote},
    tables::Identity,
};

/// Has the shadow of `stream`, one of `shadows`, take the place of its table: a new generation of the stream, complete at `time`.
pub(super) fn of_generation(
    terms: Terms<'_>,
    shadows: &Identity,
    stream: &StreamName,
    time: Time,
) -> Result<()> {
    let Terms { connection, writing, log, identity } = terms;
    let Some(shadow) = ledger::table_of(connection, shadows.name(), stream)? else {
        // There was nothing to be read.
        if let Some(table) = existing(terms, stream)? {
            let vacancy = match writing.mode {
                WriteMode::SoftDelete => Vacancy::Deleted(time),
                WriteMode::History => Vacancy::Ended(time),
                WriteMode::Append | WriteMode::Mirror | WriteMode::Replace => Vacancy::Empty,
            };
            vacate(connection, &table, vacancy)?;
        }
        return Ok(());
    };
    let exchange = Exchange::prepare(terms, stream, &shadow)?;
    match writing.mode {
        WriteMode::Append => exchange.add_missing()?,
        WriteMode::Mirror | WriteMode::Replace => exchange.become_shadow()?,
        WriteMode::SoftDelete => exchange.become_shadow_marking(time)?,
        WriteMode::History => exchange.continue_with_shadow(time)?,
    }
    let applied = exchange.applied.max(exchange.shadow_applied);
    ledger::note_applied(connection, identity.name(), stream, log, applied)?;
    ledger::drop_table(connection, shadows.name(), stream)
}

/// Has the destination that was filled out of sight for `writing` take the place of the real one.
pub(super) fn of_destination(connection: &Connection, writing: &Writing, takeover: &Takeover) -> Result<()> {
    let (hidden, real) = (Identity::of(writing), Identity::real(writing));
    let log = &takeover.standing.position.log;
    let former = ledger::standing(connection, real.name())?;
    let terms = Terms { connection, writing, log, identity: &real };
    let filled = ledger::tables(connection, hidden.name())?;
    let mut brought = filled.iter().map(|(stream, _)| stream.clone()).collect::<Vec<_>>();
    for (stream, shadow) in &filled {
        of_table(terms, stream, shadow).map_err(|failure| failure.of_stream(stream))?;
    }
    // What it was filled with and has not, nobody has.
    for (stream, _) in ledger::tables(connection, real.name())? {
        let is_asked = takeover.streams.contains(&stream) || !takeover.goes_on;
        if is_asked && !brought.contains(&stream) {
            empty(terms, &stream).map_err(|failure| failure.of_stream(&stream))?;
            brought.push(stream);
        }
    }
    let standing = match former {
        Some(former) => former.taken_over(takeover, &brought)?,
        None => takeover.standing.clone(),
    };
    for (stream, _) in ledger::tables(connection, real.shadows().name())? {
        if !standing.anew.contains_key(&stream) {
            ledger::drop_table(connection, real.shadows().name(), &stream)?;
        }
    }
    ledger::take_place(connection, real.name(), &standing)?;
    drop_tables(connection, &hidden)?;
    drop_tables(connection, &hidden.shadows())?;
    ledger::remove(connection, hidden.name())
}

/// Removes the tables of `identity`, which are out of sight.
pub(super) fn drop_tables(connection: &Connection, identity: &Identity) -> Result<()> {
    for (stream, _) in ledger::tables(connection, identity.name())? {
        ledger::drop_table(connection, identity.name(), &stream)?;
    }
    Ok(())
}

/// Has the table `shadow` of a destination out of sight take the place of the real table of `stream`.
fn of_table(terms: Terms<'_>, stream: &StreamName, shadow: &str) -> Result<()> {
    let exchange = Exchange::prepare(terms, stream, shadow)?;
    match terms.writing.mode {
        WriteMode::Append => exchange.add_missing()?,
        WriteMode::Mirror | WriteMode::Replace | WriteMode::SoftDelete | WriteMode::History => {
            exchange.become_shadow()?;
        }
    }
    seen(terms, stream, exchange.shadow_applied)
}

fn empty(terms: Terms<'_>, stream: &StreamName) -> Result<()> {
    // What was appended stays.
    if terms.writing.mode == WriteMode::Append {
        return Ok(());
    }
    if let Some(table) = existing(terms, stream)? {
        vacate(terms.connection, &table, Vacancy::Empty)?;
    }
    seen(terms, stream, None)
}

/// Notes what the table of `stream` has seen: what comes after that is news to it, although it was there before.
fn seen(
    Terms { connection, log, identity, .. }: Terms<'_>,
    stream: &StreamName,
    applied: Option<u64>,
) -> Result<()> {
    let log: &LogId = log;
    ledger::note_applied(connection, identity.name(), stream, log, applied)
}

/// The table of `stream`, as SQL, where it has one.
fn existing(terms: Terms<'_>, stream: &StreamName) -> Result<Option<String>> {
    let Some(table) = ledger::table_of(terms.connection, terms.identity.name(), stream)? else {
        return Ok(None);
    };
    terms.owner(stream, &terms.identity.table(terms.writing, stream))?;
    Ok(Some(quote(&table)?))
}
