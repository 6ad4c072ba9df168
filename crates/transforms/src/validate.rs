//! From what was typed to what it means, with every problem at once. It touches no network and no stream.

use tidemark_engine::schema::Kind;

use crate::{
    Added, OnFail, Place, Problem, Step,
    expression::Expression,
    steps::{Add, Cast, Cipher, Filter, Flatten, Hasher, Masking, Names, Quality, Verb},
    transforms::Part,
};

const VERBS: &str = "filter, select, rename, drop, cast, add, mask, hash, encrypt, flatten, quality";

/// The steps, read; everything that is wrong with them.
pub(crate) fn parts(steps: &[Step], place: Place) -> Result<Vec<Part>, Vec<Problem>> {
    let mut findings = Findings { problems: Vec::new(), place, index: String::new() };
    let mut parts = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        findings.index = index.to_string();
        let mut verbs = findings.verbs(step);
        match (verbs.pop(), verbs.is_empty()) {
            (Some(verb), true) => parts.extend(verb.map(|verb| Part { streams: step.streams.clone(), verb })),
            (None, _) => findings.add(&[], "a step has no verb", Some(&format!("give it one of: {VERBS}"))),
            (Some(_), false) => {
                let hint = "make a step of each: they are done in order";
                findings.add(&[], "a step has more than one verb", Some(hint));
            }
        }
        if step.streams.as_ref().is_some_and(Vec::is_empty) {
            findings.add(
                &["streams"],
                "a step is for no stream",
                Some("leave `streams` out: then it is for all"),
            );
        }
    }
    if findings.problems.is_empty() { Ok(parts) } else { Err(findings.problems) }
}

struct Findings {
    problems: Vec<Problem>,
    place: Place,
    /// The number of the step.
    index: String,
}

impl Findings {
    fn add(&mut self, path: &[&str], message: &str, hint: Option<&str>) {
        let path: Vec<_> = std::iter::once(self.index.as_str()).chain(path.iter().copied()).collect();
        self.problems.push(Problem::new(&path, message, hint));
    }

    /// Every verb that the step has; `None` for one that has a problem.
    fn verbs(&mut self, step: &Step) -> Vec<Option<Verb>> {
        let mut verbs = Vec::new();
        if let Some(text) = &step.filter {
            verbs.push(self.filter(text));
        }
        if let Some(names) = &step.select {
            verbs.push(self.names(names, "select", &["select"]).map(Verb::Select));
        }
        if let Some(names) = &step.drop {
            verbs.push(self.names(names, "drop", &["drop"]).map(Verb::Drop));
        }
        if let Some(renamed) = &step.rename {
            let one =
                |(former, new): (&String, &String)| (Names::new(vec![former.clone()], "rename"), new.clone());
            verbs.push(Some(Verb::Rename(renamed.iter().map(one).collect())));
        }
        if let Some(casts) = &step.cast {
            let mut read = Vec::new();
            for (name, kind) in casts {
                let kind = self.kind(kind, &["cast", name]);
                read.push(kind.map(|kind| (Names::new(vec![name.clone()], "cast"), Cast::new(kind))));
            }
            verbs.push(read.into_iter().collect::<Option<_>>().map(Verb::Cast));
        }
        if let Some(columns) = &step.add {
            let mut read = Vec::new();
            for (name, added) in columns {
                let (text, kind, path): (_, _, &[&str]) = match added {
                    Added::Text(text) => (text, Some(Kind::Text), &["add", name]),
                    Added::Typed(typed) => {
                        let kind = self.kind(&typed.kind, &["add", name, "type"]);
                        (&typed.expr, kind, &["add", name, "expr"])
                    }
                };
                let expression = self.expression(text, path);
                read.push(expression.zip(kind).map(|(expression, kind)| (name.clone(), expression, kind)));
            }
            verbs.push(read.into_iter().collect::<Option<_>>().map(|columns| Verb::Add(Add::new(columns))));
        }
        if let Some(mask) = &step.mask {
            let masking = Masking { keep: mask.keep as usize, with: mask.with.clone() };
            let names = self.names(&mask.columns, "mask", &["mask", "columns"]);
            verbs.push(names.map(|names| Verb::Mask(names, masking)));
        }
        if let Some(hash) = &step.hash {
            let names = self.names(&hash.columns, "hash", &["hash", "columns"]);
            let hasher = self.sound(Hasher::new(&hash.key), &["hash", "key"]);
            verbs.push(names.zip(hasher).map(|(names, hasher)| Verb::Hash(names, hasher)));
        }
        if let Some(encrypt) = &step.encrypt {
            let names = self.names(&encrypt.columns, "encrypt", &["encrypt", "columns"]);
            let cipher = self.sound(Cipher::new(&encrypt.key), &["encrypt", "key"]);
            verbs.push(names.zip(cipher).map(|(names, cipher)| Verb::Encrypt(names, cipher)));
        }
        if let Some(columns) = &step.flatten {
            let mut read = Vec::new();
            for (column, members) in columns {
                let kinds: Option<Vec<_>> = members
                    .iter()
                    .map(|(member, kind)| {
                        Some((member.clone(), self.kind(kind, &["flatten", column, member])?))
                    })
                    .collect();
                read.push(kinds.map(|kinds| (Names::new(vec![column.clone()], "flatten"), kinds)));
            }
            verbs.push(
                read.into_iter().collect::<Option<_>>().map(|columns| Verb::Flatten(Flatten::new(columns))),
            );
        }
        if step.quality.is_some() {
            verbs.push(self.quality(step));
        }
        verbs
    }

    fn filter(&mut self, text: &str) -> Option<Verb> {
        let expression = self.expression(text, &["filter"])?;
        if let Some(name) = expression.uses().of_change().filter(|_| self.place.is_of_records()) {
            let message = format!("`{name}` is about a change, and this `filter` is about records");
            let hint = "write of the record alone, by the names of its columns; with `write: append` a filter is about changes";
            self.add(&["filter"], &message, Some(hint));
            return None;
        }
        Some(Verb::Filter(Filter::new(expression)))
    }

    fn quality(&mut self, step: &Step) -> Option<Verb> {
        let mut rules = Vec::new();
        for (index, rule) in step.quality.iter().flatten().enumerate() {
            let index = index.to_string();
            let expression = self.expression(&rule.expr, &["quality", &index, "expr"]);
            let refusal = match (rule.on_fail, self.place) {
                (OnFail::DeadLetter, Place::Staging) => Some((
                    "there are no dead letters before staging",
                    "write `warn` or `fail`, or give the rule to a destination",
                )),
                (OnFail::DeadLetter, Place::Destination { dead_letters: false, .. }) => {
                    Some(("the destination keeps no dead letters", "give it `on_error: dead-letter`"))
                }
                _ => None,
            };
            if let Some((message, hint)) = refusal {
                self.add(&["quality", &index, "on_fail"], message, Some(hint));
            }
            rules.push(expression.map(|expression| (rule.name.clone(), expression, rule.on_fail)));
        }
        if rules.is_empty() {
            self.add(&["quality"], "`quality` has no rule", None);
        }
        rules.into_iter().collect::<Option<_>>().map(|rules| Verb::Quality(Quality::new(rules)))
    }

    fn names(&mut self, names: &[String], verb: &'static str, path: &[&str]) -> Option<Names> {
        if names.is_empty() {
            self.add(path, &format!("`{verb}` names no column"), None);
            return None;
        }
        Some(Names::new(names.to_vec(), verb))
    }

    fn expression(&mut self, text: &str, path: &[&str]) -> Option<Expression> {
        match Expression::parse(text) {
            Ok(expression) => Some(expression),
            Err(unread) => {
                self.add(path, &unread.message, unread.hint.as_deref());
                None
            }
        }
    }

    fn kind(&mut self, name: &str, path: &[&str]) -> Option<Kind> {
        let kind = Kind::parse(name);
        if kind.is_none() {
            let hint =
                "write one such as text, int64, float64, decimal(12,2), bool, date, timestamptz, uuid, json";
            self.add(path, &format!("there is no kind `{name}`"), Some(hint));
        }
        kind
    }

    fn sound<T>(&mut self, made: Result<T, String>, path: &[&str]) -> Option<T> {
        made.map_err(|message| self.add(path, &message, Some("make one with `openssl rand -base64 32`"))).ok()
    }
}
