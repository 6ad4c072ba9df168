//! Whether a server can be written to, and what should be known of it.

use std::{collections::HashMap, path::Path};

use redis::{RedisError, cmd};
use tidemark_engine::{Error, Result, world::World};

use super::{
    ledger::Ledger,
    link::Link,
    names::{Names, OURS},
    streams::Patterns,
};
use crate::{
    config::{Findings, Writing},
    redis::{
        DestinationConfig, refusal,
        session::{Server, is_not_told},
    },
};

/// The first version that has all that a mirror is written with: `COPY` and `SMISMEMBER`.
const NEEDED: (u32, u32) = (6, 2);

/// Everything that would keep a mirror from being written, as far as can be told before the streams are known, and what may cost
/// data. Writes nothing.
pub(in crate::redis) async fn check(
    config: &DestinationConfig,
    folder: &Path,
    writing: &Writing,
) -> Findings {
    let mut findings = Findings::default();
    if let Err(error) = look(config, folder, writing, &mut findings).await {
        findings.problems.push(error);
    }
    findings
}

async fn look(
    config: &DestinationConfig,
    folder: &Path,
    writing: &Writing,
    findings: &mut Findings,
) -> Result<()> {
    let server = Server::new(config, folder, World::real())?;
    let mut session = server.connect().await?;
    server.check_alone(&mut session.connection).await?;
    let info = cmd("INFO");
    let asked = server.in_time(info.query_async::<String>(&mut session.connection)).await?;
    let told = told(asked).map_err(|error| refusal::lost(&server, error))?;
    let says =
        |name: &str| told.lines().find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':'));
    if let Some(version) = says("redis_version").filter(|version| is_older(version)) {
        let (major, minor) = NEEDED;
        let message =
            format!("`{}` is Redis {version}, and a mirror needs {major}.{minor}", server.address());
        findings.problems.push(Error::config(message).hint("update the server"));
    }
    if says("aof_enabled") == Some("0") {
        let message = format!("`{}` keeps no append-only file", server.address());
        findings.warnings.push(Error::config(message).hint(
            "set `appendonly yes`: without it a server that dies goes back to its last snapshot, and is played to again from there",
        ));
    }
    let evicts = says("maxmemory_policy").is_some_and(|policy| policy.starts_with("allkeys"));
    if evicts && says("maxmemory") != Some("0") {
        let message = format!("`{}` forgets records when its memory is full", server.address());
        findings.warnings.push(Error::config(message).hint("set `maxmemory-policy noeviction`"));
    }
    let mut link = Link::connect(&server).await?;
    let (mut patterns, mut position) = (cmd("HGETALL"), cmd("HGETALL"));
    Patterns::read(&link.ask(patterns.arg(OURS).clone()).await?)?;
    let position = position.arg(Names::of(&writing.destination).position()).clone();
    let ledger = Ledger::from(link.ask::<HashMap<String, String>>(position).await?);
    ledger.standing(&writing.destination).map(drop)
}

/// What the server tells of itself; nothing where it does not tell us.
fn told(asked: Result<String, RedisError>) -> Result<String, RedisError> {
    match asked {
        Err(error) if is_not_told(&error) => Ok(String::new()),
        asked => asked,
    }
}

fn is_older(version: &str) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or_default());
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default()) < NEEDED
}
