//! Listens for requests over HTTP to read the source now.

use std::{convert::Infallible, future};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    routing::post,
};
use tidemark_engine::{Error, Result, read::Nudges};
use tokio::net::TcpListener;

use crate::pipeline_file::Webhook;

/// An open door: a POST to its path with the secret asks for a reading, and is answered at once. A body is not read.
pub(super) struct Listening {
    listener: TcpListener,
    router: Router,
}

#[derive(Clone)]
struct Door {
    nudges: Nudges,
    /// The hash of the secret: hashes are compared in constant time, whatever their texts have in common.
    secret: Option<blake3::Hash>,
}

impl Listening {
    /// Opens it.
    pub(super) async fn open(webhook: &Webhook, nudges: Nudges) -> Result<Self> {
        let Webhook { listen, path, secret } = webhook;
        let listener = TcpListener::bind(listen).await.map_err(|error| {
            Error::config(format!("cannot listen at `{listen}`"))
                .hint("give `listen` of `webhook` a port that is free and an address of this machine")
                .source(error)
        })?;
        let secret = secret.as_ref().map(|secret| blake3::hash(secret.expose().as_bytes()));
        let router = Router::new().route(path, post(knock)).with_state(Door { nudges, secret });
        tracing::info!("listening for requests to read at http://{listen}{path}");
        Ok(Self { listener, router })
    }

    /// Answers until dropped.
    pub(super) async fn serve(self) -> Infallible {
        // It ends with its listener alone, which errors of accepting do not close.
        if let Err(error) = axum::serve(self.listener, self.router).await {
            tracing::error!(%error, "requests over HTTP are listened for no more");
        }
        future::pending().await
    }
}

async fn knock(State(door): State<Door>, headers: HeaderMap) -> StatusCode {
    let shown = headers.get(AUTHORIZATION).and_then(|value| bearer(value.as_bytes())).map(blake3::hash);
    if door.secret.is_some() && shown != door.secret {
        return StatusCode::UNAUTHORIZED;
    }
    door.nudges.nudge();
    StatusCode::ACCEPTED
}

/// The token of `Bearer TOKEN` (RFC 6750; the scheme in any case).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}
