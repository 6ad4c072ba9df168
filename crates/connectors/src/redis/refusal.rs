//! What it means that the server refuses something.

use redis::RedisError;
use tidemark_engine::Error;

use super::session::Server;

/// Of a connection that was not made.
pub(super) fn of_connection(server: &Server, error: RedisError) -> Error {
    let address = server.address();
    let told = match error.code() {
        Some("WRONGPASS" | "NOAUTH" | "NOPERM") => denied(server),
        _ if error.kind() == redis::ErrorKind::AuthenticationFailed => denied(server),
        Some("ERR") => Error::config(format!("`{address}` does not let us use the database"))
            .hint("check `database`, `username` and `password`"),
        _ => return lost(server, error),
    };
    told.source(error)
}

fn denied(server: &Server) -> Error {
    Error::denied(format!("`{}` does not let us in", server.address()))
        .hint("check `username` and `password`")
}

/// Of an entry for the stream `key`.
pub(super) fn of_key(server: &Server, key: &str, error: RedisError) -> Error {
    let told = match error.code() {
        Some("WRONGTYPE") => Error::config(format!("`{key}` is there and is no stream"))
            .hint("choose another `stream`, or delete what is there"),
        Some("NOPERM") => Error::denied(format!("we may not add to `{key}`"))
            .hint(format!("let us: `ACL SETUSER USER +xadd ~{key}`")),
        Some("OOM") => memory_is_full(server).hint("raise `maxmemory`, or have streams forget: `max_length`"),
        _ => return of_server(server, error),
    };
    told.source(error)
}

/// Of a command that reads or writes records.
pub(super) fn of_records(server: &Server, error: RedisError) -> Error {
    let told = match error.code() {
        Some("WRONGTYPE") => Error::config("a key that begins with `_tidemark:` holds what Tidemark did not write there")
            .hint("delete what is there"),
        Some("NOPERM") => Error::denied(format!("`{}` does not let us write records", server.address()))
            .hint("let us use the keys, and what a mirror is written with: docs/destinations/redis.md has the commands"),
        Some("OOM") => memory_is_full(server).hint("raise `maxmemory`"),
        _ => return of_server(server, error),
    };
    told.source(error)
}

/// Of anything.
///
/// Source: Redis, "RESP protocol specification" (error prefixes), "ACL", "Key eviction", "Persistence".
fn of_server(server: &Server, error: RedisError) -> Error {
    let address = server.address();
    let told = match error.code() {
        Some("NOAUTH") => denied(server),
        Some("MOVED" | "ASK" | "CROSSSLOT") => Error::config(format!("`{address}` is a node of a cluster"))
            .hint("name a server that has all keys"),
        Some("MISCONF") => {
            Error::unavailable(format!("`{address}` takes nothing: it cannot write to its disk"))
                .hint("look at the server's log")
        }
        Some("READONLY") => {
            Error::unavailable(format!("`{address}` is a replica")).hint("name the server that it copies")
        }
        _ => return lost(server, error),
    };
    told.source(error)
}

fn memory_is_full(server: &Server) -> Error {
    Error::unavailable(format!("`{}` takes nothing: its memory is full", server.address()))
}

/// Of an answer that did not come, or says nothing that we know.
pub(super) fn lost(server: &Server, error: RedisError) -> Error {
    Error::unavailable(format!("`{}` has not taken what it was given", server.address()))
        .hint("look at the server's log")
        .source(error)
}
