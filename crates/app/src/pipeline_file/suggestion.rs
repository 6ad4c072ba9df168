//! "Did you mean …?"

/// The one of `known` that `typed` was probably meant to be.
pub(crate) fn closest<'k>(typed: &str, known: &[&'k str]) -> Option<&'k str> {
    let similarity = |word: &str| strsim::jaro_winkler(&typed.to_lowercase(), word);
    let closest = known.iter().max_by(|a, b| similarity(a).total_cmp(&similarity(b)))?;
    (similarity(closest) > 0.8).then_some(closest)
}

/// The question that suggests `word`.
pub(crate) fn did_you_mean(word: &str) -> String {
    format!("did you mean `{word}`?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_near_words_are_suggested() {
        let known = ["adopt", "path", "table", "type", "write"];
        assert_eq!(closest("wirte", &known), Some("write"));
        assert_eq!(closest("Write", &known), Some("write"));
        assert_eq!(closest("schema", &known), None);
        assert_eq!(closest("x", &[]), None);
    }
}
