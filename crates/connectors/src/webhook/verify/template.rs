//! What is signed, as the pipeline file says: a text with `{{ timestamp }}` and `{{ body }}` in it.

/// The pieces that are signed, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Timestamp,
    Body,
}

impl Template {
    /// The body alone.
    pub(super) fn body() -> Self {
        Self(vec![Piece::Body])
    }

    /// Reads `v0:{{ timestamp }}:{{ body }}`; `None` when it names something else, or the body not once.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, after) = after.split_once("}}")?;
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(match name.trim() {
                "timestamp" => Piece::Timestamp,
                "body" => Piece::Body,
                _ => return None,
            });
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        let bodies = pieces.iter().filter(|piece| **piece == Piece::Body).count();
        (bodies == 1).then_some(Self(pieces))
    }

    /// Whether a timestamp is signed.
    pub(super) fn has_timestamp(&self) -> bool {
        self.0.contains(&Piece::Timestamp)
    }

    /// The bytes of each piece.
    pub(super) fn fill<'a>(&'a self, timestamp: &'a [u8], body: &'a [u8]) -> Vec<&'a [u8]> {
        let piece = |piece: &'a Piece| match piece {
            Piece::Text(text) => text.as_bytes(),
            Piece::Timestamp => timestamp,
            Piece::Body => body,
        };
        self.0.iter().map(piece).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_is_filled_in() {
        let slack = Template::parse("v0:{{ timestamp }}:{{body}}").unwrap();
        assert_eq!(slack.fill(b"1", b"{}").concat(), b"v0:1:{}");
        assert!(slack.has_timestamp() && !Template::body().has_timestamp());
        for text in ["", "{{ timestamp }}", "{{ body }}{{ body }}", "{{ url }}{{ body }}", "{{ body }}{{"] {
            assert_eq!(Template::parse(text), None, "{text}");
        }
    }
}
