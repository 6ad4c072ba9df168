//! What the objects are called that we make at a server.

use crate::postgres::identifier::LONGEST;

/// The name of the publication and of the slot of `pipeline`: `tidemark_orders`.
///
/// A slot's name is made of `a-z`, `0-9` and `_`. Where the pipeline's is not, or is too long, a piece of its hash keeps two
/// pipelines apart.
/// <https://www.postgresql.org/docs/current/warm-standby.html#STREAMING-REPLICATION-SLOTS-MANIPULATION>
pub(super) fn made_name(pipeline: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let name = format!("tidemark_{pipeline}");
    if name.chars().all(plain) && name.len() <= LONGEST {
        return name;
    }
    let hash = &blake3::hash(pipeline.as_bytes()).to_hex()[..8];
    let name = name.to_lowercase().replace(|c| !plain(c), "_");
    format!("{:.*}_{hash}", LONGEST - 1 - hash.len(), name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_valid_and_apart() {
        assert_eq!(made_name("orders"), "tidemark_orders");
        let odd =
            ["or-ders", "or_ders-", "OR_DERS", "ör ders", &"o".repeat(80), &"o".repeat(81)].map(made_name);
        for (i, name) in odd.iter().enumerate() {
            assert!(name.starts_with("tidemark_") && name.len() <= LONGEST && name.is_ascii(), "{name}");
            assert!(!odd[..i].contains(name), "{name}");
        }
    }
}
