//! A destination that was filled out of sight takes the place of another, all of it in one transaction.
//!
//! The other may be in use: its process waits at the row of its position, or we wait there for its unit to end. Its epoch is
//! raised, so that nothing it has under way can succeed, and the row says that this was our doing (`yields`): it may open again,
//! and goes on from where it then stands.

use std::collections::BTreeSet;

use tidemark_engine::{
    Error,
    schema::StreamName,
    write::{Standing, Takeover},
};

use super::{
    failure::Result,
    ledger::{self, integer},
    place::{self, Of},
    shadow,
    terms::Terms,
    writer::Writer,
};

/// How often others may be in the way. Each time we wait for them for as long as for any lock.
const TRIES: usize = 20;

/// Has the destination that `terms` speak of take the place of the one that it shadows.
pub(super) async fn take_over(writer: &mut Writer, terms: &Terms, takeover: &Takeover) -> Result<()> {
    let no_shadow = || Error::internal("a destination that is no shadow has no place to take");
    let real = terms.shadows.clone().ok_or_else(no_shadow)?;
    check_complete(takeover)?;
    // A lock that is waited for has others wait behind it; between two tries they get their turn.
    for _ in 1..TRIES {
        match exchange(writer, terms, &real, takeover).await {
            Err(failure) if failure.is_contention() => {
                tracing::info!("a table that is to be exchanged is in use by others: trying again");
                writer.run("ROLLBACK").await?;
            }
            result => return result,
        }
    }
    exchange(writer, terms, &real, takeover).await
}

/// The exchange, in one transaction.
async fn exchange(writer: &mut Writer, terms: &Terms, real: &str, takeover: &Takeover) -> Result<()> {
    let begin = ("BEGIN; SET CONSTRAINTS ALL DEFERRED", "");
    terms.tenure.hold(writer, begin, &takeover.standing.position).await?;
    let former = lock(writer, real).await?;
    let brought = brought(writer, terms, real, takeover).await?;
    let standing = match &former {
        Some(standing) => standing.taken_over(takeover, &brought)?,
        None => takeover.standing.clone(),
    };
    let (seen, of_real) = (takeover.standing.position.sequence, terms.tenure.of(shadow::anew(real)));
    let shadows_of_real = Terms { tenure: of_real.into(), shadows: Some(real.to_owned()), ..terms.clone() };
    for stream in &brought {
        // What it was being filled anew with is void, and what was loaded ahead is not what the table holds.
        place::forget(writer, &shadows_of_real, stream).await?;
        let sql = "DELETE FROM _tidemark.loaded WHERE destination = $1 AND stream = $2";
        writer.execute(sql, &[&real, &stream.as_str()]).await?;
        place::take(writer, terms, stream, Of::All, seen).await?;
    }
    set(writer, real, &standing).await?;
    ledger::forget(writer.client(), &terms.tenure.destination).await?;
    writer.run("SET CONSTRAINTS ALL IMMEDIATE; COMMIT").await
}

/// Forgets the destination that `terms` speak of, which is a shadow, and its tables.
pub(super) async fn abandon(writer: &mut Writer, terms: &Terms) -> Result<()> {
    if terms.shadows.is_none() {
        return Err(Error::internal("a destination that people see is not abandoned").into());
    }
    writer.run("BEGIN").await?;
    terms.tenure.keep(writer).await?;
    ledger::forget(writer.client(), &terms.tenure.destination).await?;
    writer.run("COMMIT").await
}

/// Refuses what was not filled to its end: what is wanting would be forgotten.
fn check_complete(takeover: &Takeover) -> Result<()> {
    let Standing { held, anew, .. } = &takeover.standing;
    let Some(stream) = anew.keys().next().or_else(|| held.keys().next().filter(|_| takeover.goes_on)) else {
        return Ok(());
    };
    Err(Error::conflict(format!("stream `{stream}` was not filled to its end out of sight"))
        .hint("see to what holds it, and replay again")
        .into())
}

/// Where `real` stands, until the end of the transaction: its process waits, and we wait for what it has under way.
async fn lock(writer: &mut Writer, real: &str) -> Result<Option<Standing>> {
    // A unit takes as long as it takes, and a row that it writes is waited for by an insert as well.
    writer.run("SET LOCAL lock_timeout = 0").await?;
    let make = "INSERT INTO _tidemark.positions (destination, epoch) VALUES ($1, 0) ON CONFLICT DO NOTHING";
    writer.execute(make, &[&real]).await?;
    let sql =
        "SELECT epoch, log, sequence, hash, notes FROM _tidemark.positions WHERE destination = $1 FOR UPDATE";
    let row = writer.client().query_one(sql, &[&real]).await?;
    writer.run("SET LOCAL lock_timeout = '30s'").await?;
    ledger::standing(real, &row)
}

/// The streams whose tables become what was filled: those that were asked for; all there are where the destination does not keep
/// what it has.
async fn brought(writer: &Writer, terms: &Terms, real: &str, takeover: &Takeover) -> Result<Vec<StreamName>> {
    if takeover.goes_on && !takeover.streams.is_empty() {
        return Ok(takeover.streams.clone());
    }
    let sql = "SELECT stream FROM _tidemark.tables WHERE destination IN ($1, $2)
               UNION SELECT stream FROM _tidemark.tables WHERE destination = $3";
    let names = [real, &shadow::anew(real), terms.tenure.holder.as_str()];
    let rows = writer.client().query(sql, &[&names[0], &names[1], &names[2]]).await?;
    let streams = rows.iter().map(|row| StreamName::new(row.get::<_, &str>(0)));
    let streams = streams.chain(takeover.streams.iter().cloned()).collect::<BTreeSet<_>>();
    Ok(streams.into_iter().collect())
}

/// Has `real` stand at `standing`, and its process open again.
async fn set(writer: &mut Writer, real: &str, standing: &Standing) -> Result<()> {
    let (notes, position) = (standing.notes()?, &standing.position);
    let sql = "UPDATE _tidemark.positions SET log = $2, sequence = $3, hash = $4, notes = $5,
                   epoch = epoch + 1, yields = coalesce(yields, epoch)
               WHERE destination = $1";
    let (log, hash) = (position.log.as_str(), position.hash.to_string());
    writer.execute(sql, &[&real, &log, &integer(position.sequence)?, &hash, &notes]).await?;
    Ok(())
}
