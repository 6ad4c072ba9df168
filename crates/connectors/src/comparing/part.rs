//! Parts of a table that are compared as one.

/// Some rows of a table: a range of the first key column, and of that what the hash of the key begins with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// The first value in it, as text; `None`: from the beginning.
    pub from: Option<String>,
    /// The first value after it; `None`: to the end.
    pub until: Option<String>,
    /// What the hashes of the keys begin with.
    pub prefix: Vec<u8>,
}

/// An order of values that both sides have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Whole numbers, by size.
    Number,
    /// Uuids, byte by byte. As lower-case text they have the same order.
    Uuid,
    /// Bytes, byte by byte.
    Bytes,
    /// Texts, byte by byte.
    Text,
}

impl Part {
    /// The ranges that begin at `bounds`, and the one before the first of them. A NULL is in the last.
    pub fn ranges(bounds: Vec<String>) -> Vec<Self> {
        let until = bounds.iter().cloned().map(Some).chain([None]).collect::<Vec<_>>();
        let from = [None].into_iter().chain(bounds.into_iter().map(Some));
        from.zip(until).map(|(from, until)| Self { from, until, prefix: Vec::new() }).collect()
    }

    /// The keys in it whose hashes go on with `byte`.
    #[must_use]
    pub fn child(&self, byte: u8) -> Self {
        let mut child = self.clone();
        child.prefix.push(byte);
        child
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_everything_once() {
        let ranges = Part::ranges(vec!["3".into(), "7".into()]);
        let bounds = ranges.iter().map(|part| (part.from.as_deref(), part.until.as_deref()));
        assert_eq!(
            bounds.collect::<Vec<_>>(),
            [(None, Some("3")), (Some("3"), Some("7")), (Some("7"), None)]
        );
        assert_eq!(Part::ranges(Vec::new()), [Part::default()]);
    }
}
