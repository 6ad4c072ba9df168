//! Doors for the fuzz targets, built for them alone: encrypted objects that nobody has encrypted.

use std::sync::OnceLock;

use bytes::Bytes;
use object_store::path::Path;

use super::{envelope, master::MasterKey, ring::Ring};

/// Opens `object` as an encrypted object, and as a ring of keys. Neither is one: nobody without the keys can make any.
pub fn open_encrypted(object: &[u8]) {
    static KEYS: OnceLock<(MasterKey, Ring)> = OnceLock::new();
    let (master, ring) = KEYS.get_or_init(|| {
        let master = MasterKey::parse(&"ab".repeat(32)).expect("64 hexadecimal digits");
        let ring = Ring::first(&master).expect("the system has randomness");
        (master, ring)
    });
    let path = Path::from("log/00000000/000000000001");
    let _ = envelope::log_key_of(object);
    let key = ring.newest().expect("a first ring has a key");
    assert!(
        envelope::open(key, &path, Bytes::copy_from_slice(object)).is_err(),
        "an object that nobody sealed opens"
    );
    let _ = Ring::master_of(object);
    assert!(Ring::open(object, 1, &path, master).is_err(), "a ring that nobody sealed opens");
    drop(std::str::from_utf8(object).map(MasterKey::parse));
}
