//! An answer that goes on for as long as it likes.

use bytes::Bytes;
use futures::{Stream, stream};
use http::Method;
use tidemark_engine::Result;
use url::Url;

use super::{
    budget::Permit,
    failure::{Failed, What},
    wire::Opened,
};

/// A long-lived answer: lines of JSON, server-sent events.
#[derive(Debug)]
pub(crate) struct Streamed {
    opened: Opened,
    permit: Permit,
}

impl Streamed {
    pub(super) fn new(opened: Opened, permit: Permit) -> Self {
        Self { opened, permit }
    }

    /// The bytes as they arrive, in parts of any size. It ends where the server ends it; a connection that breaks or is silent
    /// for longer than may be is an error of the kind unavailable. The connection counts as used until this is dropped.
    pub(crate) fn bytes(self) -> impl Stream<Item = Result<Bytes>> + Send {
        let Self { opened, permit, .. } = self;
        let (method, url): (Method, Url) = (opened.hop.method, opened.hop.url);
        stream::try_unfold((opened.response, permit), move |(mut response, permit)| {
            let (method, url) = (method.clone(), url.clone());
            async move {
                let what = What { method: &method, url: &url };
                let chunk =
                    response.chunk().await.map_err(|error| Failed::of_transport(&what, error).failure)?;
                Ok(chunk.map(|chunk| {
                    permit.received(chunk.len());
                    (chunk, (response, permit))
                }))
            }
        })
    }
}
