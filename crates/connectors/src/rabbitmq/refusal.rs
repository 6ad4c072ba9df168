//! What it means that the server refuses something.

use std::io;

use lapin::{ErrorKind, types::ShortString};
use tidemark_engine::Error;

use super::{
    route::{Route, Routing},
    session::{PATIENCE, Server},
};
use crate::messages::{Message, Undelivered};

// Source: AMQP 0-9-1, section 1.2, and RabbitMQ's documentation of channels and access control.
const ACCESS_REFUSED: u16 = 403;
const NOT_FOUND: u16 = 404;
const PRECONDITION_FAILED: u16 = 406;
const NOT_ALLOWED: u16 = 530;

/// Of a connection that was not made.
pub(super) fn of_connection(server: &Server, error: &lapin::Error) -> Error {
    let (address, virtual_host) = (&server.address, &server.virtual_host);
    let told = match reply(error) {
        Some((ACCESS_REFUSED, _)) => Error::denied(format!("`{address}` does not let us in"))
            .hint("check `username` and `password`; `guest` comes in from the server's own machine alone"),
        Some((NOT_ALLOWED, text)) if text.contains("not found") => {
            Error::config(format!("`{address}` has no virtual host `{virtual_host}`"))
                .hint(format!("add it: `rabbitmqctl add_vhost {virtual_host}`"))
        }
        Some((NOT_ALLOWED, _)) => Error::denied(format!(
            "`{address}` does not let us into the virtual host `{virtual_host}`"
        ))
        .hint(format!("let us write there: `rabbitmqctl set_permissions -p {virtual_host} USER '' '.*' ''`")),
        _ => match tls(error) {
            Some(rustls::Error::InvalidCertificate(_)) => {
                Error::config(format!("the certificate of `{address}` is not to be trusted"))
                    .hint("name the authority that signed it by `ca`, and connect by a name that it is for")
            }
            Some(rustls::Error::AlertReceived(_)) => Error::denied(format!(
                "`{address}` refuses to speak TLS with us"
            ))
            .hint("name a certificate that the server trusts by `client_certificate` and `client_key`"),
            // The alert that would have said why is lost where the server closes at once.
            _ if address.is_secure() && is_cut_off(error) => {
                Error::unavailable(format!("`{address}` broke off before it let us in")).hint(
                    "look at the server's log; where it asks for a certificate, name one by `client_certificate` and `client_key`",
                )
            }
            _ => Error::unavailable(format!("cannot reach `{address}`"))
                .hint("check the host and the port, and that the server listens there"),
        },
    };
    told.source(error.clone())
}

/// Of a server that takes its time.
pub(super) fn too_late(server: &Server) -> Error {
    let (address, seconds) = (&server.address, PATIENCE.as_secs());
    Error::unavailable(format!("`{address}` has not answered within {seconds} seconds"))
        .hint("look at the server's log")
}

/// Of a server that has said that it takes nothing for now.
pub(super) fn blocked(server: &Server) -> Error {
    Error::unavailable(format!("`{}` takes nothing: it is short of memory or disk", server.address))
        .hint("look at its alarms: `rabbitmq-diagnostics alarms`")
}

/// Of a message that no queue takes.
pub(super) fn unrouted(route: &Route) -> Error {
    let Route { exchange, routing_key } = route;
    if exchange.as_str().is_empty() {
        return no_queue(routing_key.as_str());
    }
    let message = format!(
        "no queue takes what the exchange `{exchange}` is given with the routing key `{routing_key}`"
    );
    Error::config(message).hint(format!(
        "bind one: `rabbitmqadmin declare binding source={exchange} destination=QUEUE routing_key={routing_key}`"
    ))
}

/// Of a message that the server was given and could not keep.
pub(super) fn not_kept(route: &Route) -> Error {
    let Route { exchange, routing_key } = route;
    Error::unavailable(format!(
        "the server could not keep a message of the exchange `{exchange}` with the routing key `{routing_key}`"
    ))
    .hint("look at the length limits of the queues that take it (`overflow: reject-publish`), and at the server's log")
}

fn no_queue(name: &str) -> Error {
    Error::config(format!("there is no queue `{name}`"))
        .hint(format!("declare it: `rabbitmqadmin declare queue name={name} durable=true`"))
}

/// Of a queue that was asked for by name.
pub(super) fn of_queue(server: &Server, name: &str, error: &lapin::Error) -> Error {
    match reply(error) {
        Some((NOT_FOUND, _)) => no_queue(name).source(error.clone()),
        _ => of_exchange(server, "", error),
    }
}

/// Of an exchange that was asked for by name, or of what is said to none.
pub(super) fn of_exchange(server: &Server, exchange: &str, error: &lapin::Error) -> Error {
    let told = match reply(error) {
        Some((NOT_FOUND, _)) => Error::config(format!("there is no exchange `{exchange}`")).hint(format!(
            "declare it: `rabbitmqadmin declare exchange name={exchange} type=topic durable=true`"
        )),
        Some((ACCESS_REFUSED, _)) => Error::denied(format!("we may not write to the exchange `{exchange}`"))
            .hint(format!(
                "let us: `rabbitmqctl set_permissions -p {} USER '' '.*' ''`",
                server.virtual_host
            )),
        _ => Error::unavailable(format!("the connection to `{}` was lost", server.address))
            .hint("look at the server's log"),
    };
    told.source(error.clone())
}

/// Of a batch whose channel was closed; the first `taken` messages were confirmed before. The server says why, not over which message.
pub(super) fn of_batch(
    server: &Server,
    routing: &Routing,
    batch: &[Message],
    taken: usize,
    error: &lapin::Error,
) -> Undelivered {
    let suspects = batch.iter().enumerate().skip(taken);
    match reply(error) {
        Some((PRECONDITION_FAILED, text)) if text.contains("message size") => {
            let sizes = sizes(text);
            let is_large =
                |message: &Message| sizes.first() == message.body.as_ref().map(|body| body.len()).as_ref();
            let at = suspects.clone().find(|(_, message)| is_large(message)).map_or(taken, |(at, _)| at);
            let error = Error::data("the message is larger than the server takes").source(error.clone());
            Undelivered::message(
                at,
                error.hint("raise `max_message_size` at the server, or leave large columns out"),
            )
        }
        Some((NOT_FOUND | ACCESS_REFUSED, text)) => {
            let exchange_of = |message: &Message| routing.of(&message.place).map(|route| route.exchange);
            let is_named = |exchange: &ShortString| text.contains(&format!("'{exchange}'"));
            let named = suspects
                .clone()
                .find_map(|(_, message)| Some((message, exchange_of(message).ok().filter(is_named)?)));
            match named {
                Some((message, exchange)) => {
                    of_exchange(server, exchange.as_str(), error).of_stream(&message.stream).into()
                }
                None => of_exchange(server, "", error).into(),
            }
        }
        _ => Undelivered { taken, ..of_exchange(server, "", error).into() },
    }
}

/// What the server gave as its reason.
fn reply(error: &lapin::Error) -> Option<(u16, &str)> {
    match error.kind() {
        ErrorKind::ProtocolError(reply) => Some((reply.get_id(), reply.get_message().as_str())),
        _ => None,
    }
}

fn tls(error: &lapin::Error) -> Option<&rustls::Error> {
    match error.kind() {
        ErrorKind::IOError(error) => error.get_ref()?.downcast_ref(),
        _ => None,
    }
}

/// Whether a connection was made, and then closed by the other side.
fn is_cut_off(error: &lapin::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let kind = match error.kind() {
        ErrorKind::IOError(error) => error.kind(),
        _ => return false,
    };
    matches!(kind, BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

/// The numbers in "message size 2000000 is larger than configured max size 1048576".
fn sizes(text: &str) -> Vec<usize> {
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}
