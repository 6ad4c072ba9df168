//! Doors for the fuzz targets, built for them alone: pages of volumes that nobody has bound.

use super::{Contents, MAGIC, Page, Volume, open};
use crate::log::{fuzzing::check_page, sealed::Sealed};

/// Reads a volume that has its hash, every page of it.
pub(in crate::log) fn whole(object: bytes::Bytes) {
    let Ok(volume) = open(object) else { return };
    for page in &volume.contents.pages {
        check_page(page.first, volume.page_of(page.first));
    }
}

/// Reads `plain` as the only page of a volume with these contents.
pub(in crate::log) fn page(contents: &[u8], plain: &[u8]) {
    let Ok(mut contents) = serde_json::from_slice::<Contents>(contents) else { return };
    let stored = zstd::bulk::compress(plain, 1).expect("bytes compress");
    let first = contents.first;
    contents.pages = vec![Page { first, offset: 0, length: stored.len() as u64, plain: plain.len() as u64 }];
    let sealed =
        Sealed::new(MAGIC, &contents, &stored, "a volume").expect("contents that were read are written");
    let volume = Volume::open(sealed).expect("a volume that was just made");
    check_page(first, volume.page_of(first));
}
