//! Topics as the pipeline file writes them: a filter whose levels may have names.
//! <https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901241>

use tidemark_engine::{Error, Result};

/// A filter over topics: `site/{site}/device/{device}/#`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    /// What the subscription shares its messages with: `$share/NAME/`, or nothing.
    share: String,
    levels: Vec<Level>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Level {
    /// This very text.
    Exact(String),
    /// Any level, with the name of the column that it becomes.
    Any(Option<String>),
    /// All levels that follow, be there any or none.
    Rest,
}

impl Pattern {
    /// Reads what the pipeline file has.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let refused = |message: String| Error::config(message);
        let (share, filter) = match text.strip_prefix("$share/") {
            None => (String::new(), text),
            Some(rest) => match rest.split_once('/') {
                Some((group, filter)) if !group.is_empty() && !group.contains(['+', '#', '{']) => {
                    (format!("$share/{group}/"), filter)
                }
                _ => return Err(refused(format!("`{text}` shares a subscription without a name"))),
            },
        };
        if filter.is_empty() || filter.contains('\0') || filter.len() > usize::from(u16::MAX) {
            return Err(refused(format!("`{text}` is no topic")));
        }
        let texts = filter.split('/').collect::<Vec<_>>();
        let mut levels = Vec::with_capacity(texts.len());
        for (at, level) in texts.iter().enumerate() {
            levels.push(match *level {
                "+" => Level::Any(None),
                "#" if at + 1 == texts.len() => Level::Rest,
                "#" => return Err(refused(format!("`{text}` goes on after `#`"))),
                level => match level.strip_prefix('{').and_then(|level| level.strip_suffix('}')) {
                    Some(name) if !name.is_empty() && !name.contains(['{', '}']) => {
                        Level::Any(Some(name.to_owned()))
                    }
                    None if !level.contains(['+', '#', '{', '}']) => Level::Exact(level.to_owned()),
                    _ => {
                        return Err(refused(format!("`{level}` in `{text}` is no level of a topic"))
                            .hint("write `{name}` or `+` for a whole level, and `#` for all that follow"));
                    }
                },
            });
        }
        let pattern = Self { share, levels };
        let names = pattern.names().collect::<Vec<_>>();
        match names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
            Some((_, name)) => Err(refused(format!("`{text}` has `{{{name}}}` twice"))),
            None => Ok(pattern),
        }
    }

    /// What the broker is asked for.
    pub(super) fn filter(&self) -> String {
        let level = |level: &Level| match level {
            Level::Exact(text) => text.clone(),
            Level::Any(_) => "+".to_owned(),
            Level::Rest => "#".to_owned(),
        };
        format!("{}{}", self.share, self.levels.iter().map(level).collect::<Vec<_>>().join("/"))
    }

    /// Whether the broker divides its messages among all who share the subscription.
    pub(super) fn is_shared(&self) -> bool {
        !self.share.is_empty()
    }

    /// The columns that its levels become, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.levels.iter().filter_map(|level| match level {
            Level::Any(name) => name.as_deref(),
            Level::Exact(_) | Level::Rest => None,
        })
    }

    /// The levels of `topic` that have names, in order; `None` when it is another topic.
    pub(super) fn captures<'t>(&self, topic: &'t str) -> Option<Vec<&'t str>> {
        let mut captured = Vec::new();
        let mut rest = topic.split('/');
        // Wildcards at the beginning leave out what brokers say of themselves.
        if topic.starts_with('$') && !matches!(self.levels.first(), Some(Level::Exact(_))) {
            return None;
        }
        for level in &self.levels {
            match (level, rest.next()) {
                (Level::Rest, _) => return Some(captured),
                (Level::Exact(exact), Some(text)) if exact == text => {}
                (Level::Any(None), Some(_)) => {}
                (Level::Any(Some(_)), Some(text)) => captured.push(text),
                _ => return None,
            }
        }
        rest.next().is_none().then_some(captured)
    }

    /// Whether there is a topic that both take.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let (mut ours, mut theirs) = (self.levels.iter(), other.levels.iter());
        loop {
            match (ours.next(), theirs.next()) {
                (Some(Level::Rest), _) | (_, Some(Level::Rest)) | (None, None) => return true,
                (Some(Level::Exact(ours)), Some(Level::Exact(theirs))) if ours != theirs => return false,
                (Some(_), Some(_)) => {}
                _ => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap()
    }

    #[test]
    fn levels_with_names_become_columns() {
        let readings = pattern("site/{site}/+/{device}/reading");
        assert_eq!(readings.filter(), "site/+/+/+/reading");
        assert_eq!(readings.names().collect::<Vec<_>>(), ["site", "device"]);
        assert_eq!(readings.captures("site/north/x/7/reading"), Some(vec!["north", "7"]));
        assert_eq!(readings.captures("site//x//reading"), Some(vec!["", ""]));
        for topic in [
            "site/north/x/7",
            "site/north/x/7/reading/more",
            "sites/north/x/7/reading",
            "site/north/x/7/state",
        ] {
            assert_eq!(readings.captures(topic), None, "{topic}");
        }
        assert_eq!(pattern("a/{b}/#").captures("a/1"), Some(vec!["1"]));
        assert_eq!(pattern("a/{b}/#").captures("a/1/2/3"), Some(vec!["1"]));
        assert_eq!(
            (pattern("#").captures("$SYS/x"), pattern("$SYS/{x}").captures("$SYS/x")),
            (None, Some(vec!["x"]))
        );
        assert_eq!(pattern("$share/g/a/{b}").filter(), "$share/g/a/+");
        assert_eq!(pattern("$share/g/a/{b}").captures("a/1"), Some(vec!["1"]));
    }

    #[test]
    fn what_is_no_topic_is_refused() {
        for text in ["", "a/#/b", "a+", "a/{b", "a/{}", "a/b{c}", "$share/g", "$share//a", "a/{b}/{b}", "x#"]
        {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn patterns_overlap_where_one_topic_is_of_both() {
        for (a, b, overlap) in [
            ("a/+", "a/b", true),
            ("a/{x}/c", "a/b/{y}", true),
            ("a/#", "a", true),
            ("#", "x/y", true),
            ("a/+", "a/b/c", false),
            ("a/b", "a/c", false),
            ("a/+/reading", "a/+/state", false),
        ] {
            assert_eq!(pattern(a).overlaps(&pattern(b)), overlap, "{a} {b}");
            assert_eq!(pattern(b).overlaps(&pattern(a)), overlap, "{b} {a}");
        }
    }
}
