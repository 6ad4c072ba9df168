//! Reading a body to its end.

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use reqwest::Response;
use tidemark_engine::Error;

use super::unpacked::{Trouble, Unpacked};
use crate::http::client::{
    budget::Permit,
    failure::{Failed, What},
};

/// The body of `response`, unpacked, of at most `most` bytes. A body that is shorter than was announced, or whose packing is
/// cut off, is no answer: the request is to be repeated.
pub(in crate::http::client) async fn read(
    mut response: Response,
    what: &What<'_>,
    most: u64,
    permit: Option<&Permit>,
) -> Result<Bytes, Failed> {
    let trouble = |trouble| Failed::from(told(trouble, what, most));
    let packing = response.headers().get(CONTENT_ENCODING).map(|value| value.as_bytes().to_ascii_lowercase());
    let mut unpacked = Unpacked::new(packing.as_deref(), most).map_err(trouble)?;
    if response.content_length().is_some_and(|length| length > most) {
        return Err(trouble(Trouble::TooLong));
    }
    while let Some(chunk) = response.chunk().await.map_err(|error| Failed::of_transport(what, error))? {
        if let Some(permit) = permit {
            permit.received(chunk.len());
        }
        unpacked.push(&chunk).map_err(trouble)?;
    }
    unpacked.finish().map_err(trouble)
}

fn told(trouble: Trouble, what: &What<'_>, most: u64) -> Error {
    match trouble {
        Trouble::TooLong => Error::data(format!("the answer to {what} is longer than {most} bytes"))
            .hint("ask for smaller pages, or raise `limits.max_response`"),
        Trouble::Bomb => Error::data(format!("the answer to {what} unpacks to far more than it was"))
            .hint("ask for it unpacked, by the header `accept-encoding: identity`"),
        Trouble::Unknown => {
            Error::data(format!("the answer to {what} is packed in a way that was not asked for"))
                .hint("ask for it unpacked, by the header `accept-encoding: identity`")
        }
        Trouble::Damaged => {
            Error::unavailable(format!("the answer to {what} is packed, and damaged or cut off"))
        }
    }
}
