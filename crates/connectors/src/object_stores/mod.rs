//! Object storage of the clouds, for whoever keeps a log or writes files there: from the URL in a pipeline file and the credentials that the machine
//! has to an [`ObjectStore`].
//!
//! Nothing secret stands in a pipeline file. Each cloud is asked as its own tools do it, which look into the environment first.
//!
//! | Question | File |
//! |---|---|
//! | Which cloud, bucket and folder does a URL name? | `url` |
//! | What does the machine know? | `environment` |
//! | How is each cloud reached? | `azure`, `s3`, `gcs` |
//! | What is in a connection string, in a profile? | `connection_string`, `profile` |
//! | When may data travel in the clear? | `transport` |
//! | How long is a silent store waited for, how often asked again? | `patience` |

mod azure;
mod connection_string;
mod environment;
mod gcs;
mod patience;
mod profile;
mod s3;
mod transport;
mod url;

use std::sync::Arc;

use object_store::{ObjectStore, prefix::PrefixStore};
use tidemark_engine::Result;

pub(crate) use connection_string::{ConnectionString, Service};
pub use environment::Environment;
use patience::Patient;
use url::Cloud;
pub use url::StoreUrl;

impl StoreUrl {
    /// The store below this URL. Touches no network: credentials that are there may still be refused.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Config`] when the environment does not tell how to reach it.
    pub fn connect(&self, environment: &Environment) -> Result<Arc<dyn ObjectStore>> {
        let objects = match self.cloud() {
            Cloud::Azure => azure::connect(self, environment),
            Cloud::S3 => s3::connect(self, environment),
            Cloud::Gcs => gcs::connect(self, environment),
        };
        let objects: Arc<dyn ObjectStore> =
            Arc::new(Patient::new(objects.map_err(|error| error.context(self))?));
        Ok(match self.prefix() {
            "" => objects,
            prefix => Arc::new(PrefixStore::new(objects, prefix)),
        })
    }
}
