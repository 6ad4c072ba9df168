//! Where the body of a message goes that is larger than a queue takes.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header::CONTENT_TYPE};
use tidemark_engine::{Error, Result};
use url::Url;

use super::{DestinationConfig, post::request};
use crate::{
    http::client::{Client, Failure},
    messages::Message,
};

/// A container of blobs.
#[derive(Debug, Clone)]
pub(super) struct Claims {
    client: Client,
    base: Url,
    container: Arc<str>,
}

impl Claims {
    /// That of the pipeline file; `None` where it has none. `connect` makes a client.
    pub(super) fn new(
        config: &DestinationConfig,
        connect: impl FnOnce(&crate::azure_storage::Account) -> Result<Client>,
    ) -> Result<Option<Self>> {
        let Some(claim) = &config.claim_check else { return Ok(None) };
        let blobs = config.blobs()?;
        let client = connect(&blobs)?;
        Ok(Some(Self { client, base: blobs.base, container: claim.container.as_str().into() }))
    }

    /// Fails where the container is not there.
    pub(super) async fn check(&self) -> Result<()> {
        let mut request = request(Method::HEAD, &self.base, &[&self.container], Bytes::new())?;
        request.url.set_query(Some("restype=container"));
        match self.client.send(&request).await {
            Err(failure) if !super::post::may_only_send(&failure) => Err(self.failed(failure)),
            _ => Ok(()),
        }
    }

    /// Keeps the body of `message` in a blob under its id, and returns what the queue is told instead. Done again it comes to the same.
    pub(super) async fn keep(&self, message: &Message) -> Result<Bytes> {
        let body = message.body.clone().unwrap_or_default();
        let length = body.len();
        let mut request = request(Method::PUT, &self.base, &[&self.container, &message.id], body)?;
        request.headers.insert("x-ms-blob-type", HeaderValue::from_static("BlockBlob"));
        request.headers.insert(CONTENT_TYPE, HeaderValue::from_static(message.content_type));
        self.client.send(&request).await.map_err(|failure| self.failed(failure))?;
        let told = serde_json::json!({
            "id": message.id,
            "op": message.op.as_str(),
            "stream": message.stream.as_str(),
            "claim_check": {"url": request.url.as_str(), "bytes": length, "content_type": message.content_type},
        });
        Ok(told.to_string().into())
    }

    fn failed(&self, failure: Failure) -> Error {
        let container = &self.container;
        match failure.status {
            Some(StatusCode::NOT_FOUND) => Error::config(format!("there is no container `{container}`"))
                .hint(format!("make it: `az storage container create --name {container} --account-name ACCOUNT`")),
            Some(StatusCode::FORBIDDEN) => Error::from(failure).hint(
                "grant these credentials the right to write blobs: the role `Storage Blob Data Contributor`, or a signature with `c` and `w`",
            ),
            _ => failure.into(),
        }
    }
}
