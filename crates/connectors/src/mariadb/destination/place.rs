//! Shadows that take the places of tables. A table stays what it is to others, with its views, indexes and triggers: what it holds becomes
//! what its shadow holds, by the differences alone where records have a key.

use tidemark_engine::{
    Result as EngineResult, Time,
    schema::StreamName,
    write::{Standing, Takeover, WriteMode},
};

use super::{
    exchange::{Exchange, Vacancy, vacate},
    ledger::{self, State},
    session::Session,
    writer::Writer,
};
use crate::{
    mariadb::{failure::Result, identifier::quote},
    tables::Identity,
};

/// Has the shadow of `stream` take the place of its table: a new generation of the stream, complete at `time`.
pub(super) async fn of_generation(session: &mut Session, stream: &StreamName, time: Time) -> Result<()> {
    session.forget(stream);
    let (shadows, own) = (session.shadows().clone(), Identity::of(session.parts().1));
    let (writer, writing, log) = session.parts();
    let (mode, log) = (writing.mode, log.clone());
    let Some(shadow) = ledger::table_of(writer, shadows.name(), stream).await? else {
        // There was nothing to be read.
        if let Some((_, table)) = existing(session, &own, stream).await? {
            let vacancy = match mode {
                WriteMode::SoftDelete => Vacancy::Deleted(time),
                WriteMode::History => Vacancy::Ended(time),
                WriteMode::Append | WriteMode::Mirror | WriteMode::Replace => Vacancy::Empty,
            };
            vacate(session, &table, vacancy).await?;
        }
        return Ok(());
    };
    let mut exchange = Exchange::prepare(session, stream, &shadow).await?;
    match mode {
        WriteMode::Append => exchange.add_missing().await?,
        WriteMode::Mirror | WriteMode::Replace => exchange.become_shadow().await?,
        WriteMode::SoftDelete => exchange.become_shadow_marking(time).await?,
        WriteMode::History => exchange.continue_with_shadow(time).await?,
    }
    let (name, applied) = (exchange.name.clone(), exchange.applied.max(exchange.shadow_applied));
    let (writer, ..) = session.parts();
    ledger::note_applied(writer, &name, &log, applied).await?;
    ledger::note_state(writer, &shadow, State::Leftover).await
}

/// Has the destination that was filled out of sight take the place of the real one.
pub(super) async fn of_destination(session: &mut Session, takeover: &Takeover) -> Result<()> {
    let (writer, writing, _) = session.parts();
    let (hidden, real) = (Identity::of(writing), Identity::real(writing));
    // From here on nobody else moves it.
    let former = ledger::standing(writer, real.name()).await?;
    let filled = ledger::tables(writer, hidden.name()).await?;
    let mut brought = filled.iter().map(|(stream, _)| stream.clone()).collect::<Vec<_>>();
    for (stream, shadow) in &filled {
        let taken = of_table(session, stream, shadow).await;
        taken.map_err(|failure| {
            failure.of_stream(format_args!("cannot fill stream `{stream}` anew"), stream)
        })?;
    }
    // What it was filled with and has not, nobody has.
    for (stream, _) in ledger::tables(session.parts().0, real.name()).await? {
        let is_asked = takeover.streams.contains(&stream) || !takeover.goes_on;
        if is_asked && !brought.contains(&stream) {
            empty(session, &real, &stream).await?;
            brought.push(stream);
        }
    }
    let standing = taken_over(former, takeover, &brought)?;
    let (writer, ..) = session.parts();
    for (stream, table) in ledger::tables(writer, real.shadows().name()).await? {
        if !standing.anew.contains_key(&stream) {
            ledger::note_state(writer, &table, State::Leftover).await?;
        }
    }
    ledger::take_place(writer, real.name(), &standing).await?;
    leave_tables(writer, &hidden).await?;
    leave_tables(writer, &hidden.shadows()).await?;
    ledger::remove(writer, hidden.name()).await
}

fn taken_over(
    former: Option<Standing>,
    takeover: &Takeover,
    brought: &[StreamName],
) -> EngineResult<Standing> {
    match former {
        Some(former) => former.taken_over(takeover, brought),
        None => Ok(takeover.standing.clone()),
    }
}

/// Has the tables of `identity`, which are out of sight, dropped when the transaction has been committed.
pub(super) async fn leave_tables(writer: &mut Writer, identity: &Identity) -> Result<()> {
    for (_, table) in ledger::tables(writer, identity.name()).await? {
        ledger::note_state(writer, &table, State::Leftover).await?;
    }
    Ok(())
}

/// Has the table `shadow` of a destination out of sight take the place of the real table of `stream`.
async fn of_table(session: &mut Session, stream: &StreamName, shadow: &str) -> Result<()> {
    let (_, writing, log) = session.parts();
    let (mode, log) = (writing.mode, log.clone());
    let mut exchange = Exchange::prepare(session, stream, shadow).await?;
    match mode {
        WriteMode::Append => exchange.add_missing().await?,
        WriteMode::Mirror | WriteMode::Replace | WriteMode::SoftDelete | WriteMode::History => {
            exchange.become_shadow().await?;
        }
    }
    // What comes after that is news to it, although it was there before.
    let (name, applied) = (exchange.name.clone(), exchange.shadow_applied);
    ledger::note_applied(session.parts().0, &name, &log, applied).await
}

async fn empty(session: &mut Session, real: &Identity, stream: &StreamName) -> Result<()> {
    let (_, writing, log) = session.parts();
    let log = log.clone();
    // What was appended stays.
    if writing.mode == WriteMode::Append {
        return Ok(());
    }
    if let Some((name, table)) = existing(session, real, stream).await? {
        vacate(session, &table, Vacancy::Empty).await?;
        ledger::note_applied(session.parts().0, &name, &log, None).await?;
    }
    Ok(())
}

/// The table of `stream`, by its name and as SQL, where it has one.
async fn existing(
    session: &mut Session,
    of: &Identity,
    stream: &StreamName,
) -> Result<Option<(String, String)>> {
    let Some(table) = ledger::table_of(session.parts().0, of.name(), stream).await? else { return Ok(None) };
    let mut terms = session.terms(false).await?;
    let wanted = terms.table(stream, None);
    terms.owner(stream, &wanted).await?;
    let sql = quote(&table)?;
    Ok(Some((table, sql)))
}
