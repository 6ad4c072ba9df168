//! Names of folders and files.

use tidemark_engine::{Error, Result};

/// How long the name of a folder or file may be: what most file systems allow.
pub(super) const MAX_NAME: usize = 255;
/// How long a folder's whole path from the root may be: object stores allow 1,024 bytes, which the root and the file share.
pub(super) const MAX_FOLDER: usize = 600;
/// How long the URL of a root may be.
pub(super) const MAX_ROOT: usize = 160;

/// `name` as the name of one folder: letters, digits, `_`, `-` and inner dots stand for themselves, every other byte
/// is `%` and two hexadecimal digits.
pub(super) fn encode(name: &str) -> Result<String> {
    let mut out = String::with_capacity(name.len());
    escape(name, &mut out);
    if out.is_empty() {
        return Err(Error::config("a stream's folder would have no name").hint("give `table` a name"));
    }
    if out.len() > MAX_NAME {
        return Err(Error::config(format!("the name `{name}` is too long for a folder"))
            .hint("choose a shorter one with `table`"));
    }
    Ok(out)
}

/// Appends `text` to `out` as [`encode`] has it.
pub(super) fn escape(text: &str, out: &mut String) {
    for (index, byte) in text.bytes().enumerate() {
        // A leading dot would hide the folder, or leave it.
        let plain = byte.is_ascii_alphanumeric() || b"_-".contains(&byte) || (byte == b'.' && index > 0);
        if plain { out.push(char::from(byte)) } else { out.push_str(&format!("%{byte:02X}")) }
    }
}

/// The name of a file: the first and the last commit that its unit plays, the destination that writes it, the entry of the manifest
/// where it is a retry (which plays no commit, and may not be the last at its place in the log), and its number among those. Sorts in the log's order. No two destinations of a folder make the same name: they would share
/// their manifest as well.
pub(super) fn data_file(
    commits: (u64, u64),
    destination: &str,
    retry: Option<u64>,
    number: usize,
    extension: &str,
) -> Result<String> {
    let (first, last) = commits;
    let retry = retry.map_or(String::new(), |entry| format!("-retry{entry}"));
    let name = format!("{first:012}-{last:012}-{}{retry}-{number:04}.{extension}", encode(destination)?);
    if name.len() > MAX_NAME {
        return Err(Error::config(format!("the name `{destination}` is too long for a file's"))
            .hint("give the destination a shorter one"));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_stay_inside() {
        let encode = |name: &str| encode(name).unwrap();
        assert_eq!(encode("public.orders"), "public.orders");
        assert_eq!(encode(".."), "%2E.");
        assert_eq!(encode("../../etc"), "%2E.%2F..%2Fetc");
        assert_eq!(encode(".tidemark"), "%2Etidemark");
        assert_eq!(encode("a b\0%é"), "a%20b%00%25%C3%A9");
        assert!(super::encode("").is_err());
        assert!(super::encode(&"x".repeat(300)).is_err());
        assert_eq!(
            data_file((1, 20), "a/b", None, 3, "csv").unwrap(),
            "000000000001-000000000020-a%2Fb-0003.csv"
        );
        let retry = data_file((21, 20), "a", Some(7), 0, "csv").unwrap();
        assert_eq!(retry, "000000000021-000000000020-a-retry7-0000.csv");
        assert!(data_file((1, 1), &"x".repeat(255), None, 0, "csv").is_err());
    }
}
