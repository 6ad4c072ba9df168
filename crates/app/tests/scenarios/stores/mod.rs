//! The same scenarios wherever the log is kept: in a folder, and in what stands in for each cloud's object storage.

mod faults;
mod files;
mod refused;
mod replaced;

use tidemark_test_servers::{Bucket, Cloud};

/// Somewhere for a log.
pub(crate) fn place(cloud: Option<Cloud>) -> Bucket {
    match cloud {
        None => Bucket { url: "./staging".to_owned(), variables: Vec::new() },
        Some(cloud) => {
            let Bucket { url, variables } = cloud.shared().bucket();
            Bucket { url: format!("{url}/a/b"), variables }
        }
    }
}

/// Makes a test of a function for each place.
macro_rules! in_every_store {
    ($($scenario:ident),+) => {
        mod folder { $(#[test] fn $scenario() { super::$scenario(None); })+ }
        in_every_cloud!($($scenario),+);
    };
}

/// Makes a test of a function for each cloud.
macro_rules! in_every_cloud {
    ($($scenario:ident),+) => {
        mod azure { $(#[test] fn $scenario() { super::$scenario(Some(tidemark_test_servers::Cloud::Azure)); })+ }
        mod s3 { $(#[test] fn $scenario() { super::$scenario(Some(tidemark_test_servers::Cloud::S3)); })+ }
        mod gcs { $(#[test] fn $scenario() { super::$scenario(Some(tidemark_test_servers::Cloud::Gcs)); })+ }
    };
}
pub(crate) use {in_every_cloud, in_every_store};
