//! Storage of the clouds, as emulators have it: Azurite for Azure (its tables, too), moto for S3, fake-gcs-server for Google Cloud
//! Storage. None of them is the real thing.

mod azurite;
mod fake_gcs;
mod moto;
pub(crate) mod process;
mod queues;
mod sqs;
mod tables;
pub(crate) mod tools;

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering},
};

use crate::{Front, guard::Guard};
pub use queues::Queues;
pub use sqs::Sqs;
pub use tables::{Operation, Tables};

/// The clouds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cloud {
    /// Azure Blob Storage.
    Azure,
    /// Amazon S3.
    S3,
    /// Google Cloud Storage.
    Gcs,
}

impl Cloud {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Azure, Self::S3, Self::Gcs];

    /// The emulator that the tests of this process share; each takes a bucket of its own.
    pub fn shared(self) -> &'static Emulator {
        static SHARED: [OnceLock<Emulator>; 3] = [const { OnceLock::new() }; 3];
        SHARED[self as usize].get_or_init(|| Emulator::start(self))
    }
}

/// A running emulator.
pub struct Emulator {
    cloud: Cloud,
    port: u16,
    /// What stands before it to speak what it does not.
    front: Option<Front>,
    buckets: AtomicU32,
    _guard: Guard,
}

/// A bucket, or container, and what a process has to know of it.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// Its URL in a pipeline file: `s3://test0`.
    pub url: String,
    /// The environment that leads there, credentials included.
    pub variables: Vec<(&'static str, String)>,
}

impl Emulator {
    /// One of one's own.
    pub fn start(cloud: Cloud) -> Self {
        let (port, guard) = match cloud {
            Cloud::Azure => azurite::start(),
            Cloud::S3 => moto::start(),
            Cloud::Gcs => fake_gcs::start(),
        };
        let front = (cloud == Cloud::Gcs).then(|| fake_gcs::front(port));
        Self { cloud, port, front, buckets: AtomicU32::new(0), _guard: guard }
    }

    /// The port where it is spoken to, at 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.front.as_ref().map_or(self.port, Front::port)
    }

    /// A new, empty bucket.
    pub fn bucket(&self) -> Bucket {
        let name = format!("test{}", self.buckets.fetch_add(1, Ordering::Relaxed));
        match self.cloud {
            Cloud::Azure => azurite::make_container(self.port, &name),
            Cloud::S3 => moto::make_bucket(self.port, &name),
            Cloud::Gcs => fake_gcs::make_bucket(self.port, &name),
        }
        self.bucket_named(&name, self.port())
    }

    /// A new, empty bucket that is spoken to through `front`, which must stand before this emulator.
    pub fn bucket_behind(&self, front: &Front) -> Bucket {
        let Bucket { url, .. } = self.bucket();
        let name = url.split_once("://").map_or("", |(_, name)| name);
        self.bucket_named(name, front.port())
    }

    /// What Azure's container `name` has under `key`.
    pub fn blob(&self, name: &str, key: &str) -> Vec<u8> {
        assert_eq!(self.cloud, Cloud::Azure, "the others are read by their own clients");
        azurite::blob(self.port, name, key)
    }

    /// A bucket that there is not.
    pub fn missing_bucket(&self) -> Bucket {
        self.bucket_named("missing", self.port())
    }

    fn bucket_named(&self, name: &str, port: u16) -> Bucket {
        let (scheme, variables) = match self.cloud {
            Cloud::Azure => ("az", azurite::variables(port)),
            Cloud::S3 => ("s3", moto::variables(port)),
            Cloud::Gcs => ("gs", fake_gcs::variables(port)),
        };
        Bucket { url: format!("{scheme}://{name}"), variables }
    }
}
