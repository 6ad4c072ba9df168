//! Certificates in a pipeline file.

use std::{borrow::Cow, fs, path::Path};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use tidemark_engine::{Error, Result};

use crate::config::{Problem, Secret};

/// PEM text itself, or the path of a file with it. It prints as `***`: what is typed here by mistake may be a key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Pem(Secret);

impl Pem {
    /// The PEM text, where relative paths begin at `folder`; `key` is what the file calls it.
    pub(in crate::http::client) fn read(&self, key: &str, folder: &Path) -> Result<Vec<u8>> {
        let text = self.0.expose();
        if text.trim_start().starts_with("-----BEGIN") {
            return Ok(text.trim_start().as_bytes().to_vec());
        }
        fs::read(folder.join(text)).map_err(|error| {
            Error::config(format!("`{key}` cannot be read"))
                .source(error)
                .hint("give PEM text, or the path of a PEM file")
        })
    }

    fn is_empty(&self) -> bool {
        self.0.expose().trim().is_empty()
    }
}

impl JsonSchema for Pem {
    fn schema_name() -> Cow<'static, str> {
        "Pem".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "PEM text, or the path of a PEM file" })
    }
}

/// What is shown to a server that asks who is there.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificate {
    /// The certificate and those between it and its authority.
    pub certificate: Pem,
    /// Its private key.
    pub key: Pem,
}

impl ClientCertificate {
    pub(super) fn problem(&self) -> Option<Problem> {
        let key = if self.certificate.is_empty() { "certificate" } else { "key" };
        (self.certificate.is_empty() || self.key.is_empty()).then(|| {
            Problem::new(["client_certificate", key], format!("the `{key}` is empty"))
                .hint("give PEM text, or the path of a PEM file")
        })
    }
}
