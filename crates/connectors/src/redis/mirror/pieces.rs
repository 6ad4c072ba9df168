//! Steps that concern all records of a stream. Few records change in the transaction of the unit. Many would keep the server from
//! answering anybody for seconds: they change in transactions of their own before it, piece by piece, each only while the destination
//! is ours. What they do, they may do again.

use redis::{Cmd, cmd};
use tidemark_engine::{Result, schema::StreamName};

use super::{holding::Holding, names::Layer, streams::Known};

/// So many records are few.
pub(super) const FEW: usize = 10_000;
/// Records in one piece.
const PIECE: usize = 1_000;

/// What is to be done with many records.
pub(super) enum Pieces {
    /// In the transaction of the unit.
    Few(Vec<Cmd>),
    /// At once.
    Many,
}

impl Holding {
    /// How records of `layers`, which are of `stream`, are changed by what happens up to commit `until`.
    pub(super) async fn pieces(
        &mut self,
        stream: &StreamName,
        layers: &[&Layer],
        until: u64,
    ) -> Result<Pieces> {
        let mut records = 0;
        for layer in layers {
            records += self.size(layer).await?;
        }
        if records <= self.terms.few {
            return Ok(Pieces::Few(Vec::new()));
        }
        // Should this process end in the middle, the next one knows that not all is as the position says.
        let known = Known { mixed_until: Some(until), ..self.known(stream) };
        self.fenced(vec![known.note(&self.names.streams(), stream)?]).await?;
        self.known.insert(stream.clone(), known);
        Ok(Pieces::Many)
    }

    async fn size(&mut self, layer: &Layer) -> Result<usize> {
        let mut ask = cmd("SCARD");
        ask.arg(&layer.set);
        self.link.ask(ask).await
    }

    async fn add(&mut self, pieces: &mut Pieces, commands: Vec<Cmd>) -> Result<()> {
        match pieces {
            Pieces::Few(all) => {
                all.extend(commands);
                Ok(())
            }
            Pieces::Many if commands.is_empty() => Ok(()),
            Pieces::Many => self.fenced(commands).await,
        }
    }

    /// Removes every record of `layer`.
    pub(super) async fn clear(&mut self, layer: &Layer, pieces: &mut Pieces) -> Result<()> {
        let mut walk = Walk::default();
        while let Some(keys) = self.next(layer, &mut walk).await? {
            self.add(pieces, remove(layer, &keys)).await?;
        }
        Ok(())
    }

    /// Has `seen` hold what `anew` does, which stays as it is.
    pub(super) async fn exchange(&mut self, seen: &Layer, anew: &Layer, pieces: &mut Pieces) -> Result<()> {
        let mut walk = Walk::default();
        while let Some(keys) = self.next(anew, &mut walk).await? {
            let copy = |key: &String| {
                let mut copy = cmd("COPY");
                copy.arg(anew.record(key)).arg(seen.record(key)).arg("REPLACE");
                copy
            };
            let copies = keys.iter().map(copy).chain([with_members("SADD", &seen.set, &keys)]);
            self.add(pieces, copies.collect()).await?;
        }
        let mut walk = Walk::default();
        while let Some(mut keys) = self.next(seen, &mut walk).await? {
            let there: Vec<bool> = self.link.ask(with_members("SMISMEMBER", &anew.set, &keys)).await?;
            let mut there = there.into_iter();
            keys.retain(|_| !there.next().unwrap_or_default());
            if !keys.is_empty() {
                self.add(pieces, remove(seen, &keys)).await?;
            }
        }
        Ok(())
    }

    /// Removes what was filled out of sight and is void, or stands in sight by now.
    pub(super) async fn remove_void(&mut self) -> Result<()> {
        let void = self.names.void();
        let mut ask = cmd("SMEMBERS");
        let all: Vec<String> = self.link.ask(ask.arg(&void).clone()).await?;
        for name in all {
            if let Some((from, stream)) = name.split_once(':')
                && let Ok(from) = from.parse()
            {
                let layer = self.names.anew(from, stream);
                self.clear(&layer, &mut Pieces::Many).await?;
            }
            self.fenced(vec![with_members("SREM", &void, &[name])]).await?;
        }
        Ok(())
    }

    /// Says that what `stream` was filled with from commit `from` on is void.
    pub(super) fn void(&self, from: u64, stream: &StreamName) -> Cmd {
        with_members("SADD", &self.names.void(), &[format!("{from}:{stream}")])
    }

    /// The next keys of `layer`; `None` behind the last. Keys that are removed meanwhile do not disturb it.
    async fn next(&mut self, layer: &Layer, walk: &mut Walk) -> Result<Option<Vec<String>>> {
        if walk.is_over {
            return Ok(None);
        }
        let mut ask = cmd("SSCAN");
        ask.arg(&layer.set).arg(&walk.cursor).arg("COUNT").arg(PIECE);
        let (cursor, keys): (String, Vec<String>) = self.link.ask(ask).await?;
        walk.is_over = cursor == "0";
        walk.cursor = cursor;
        Ok(Some(keys))
    }
}

/// A way through a set.
struct Walk {
    cursor: String,
    is_over: bool,
}

impl Default for Walk {
    fn default() -> Self {
        Self { cursor: "0".to_owned(), is_over: false }
    }
}

fn remove(layer: &Layer, keys: &[String]) -> Vec<Cmd> {
    if keys.is_empty() {
        return Vec::new();
    }
    let records = keys.iter().map(|key| layer.record(key)).collect::<Vec<_>>();
    let mut unlink = cmd("UNLINK");
    unlink.arg(records);
    vec![unlink, with_members("SREM", &layer.set, keys)]
}

/// A command on some members of a set.
pub(super) fn with_members(command: &str, set: &str, members: &[String]) -> Cmd {
    let mut with = cmd(command);
    with.arg(set).arg(members);
    with
}
