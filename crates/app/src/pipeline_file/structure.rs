//! Holds the tree against the schema and reports everything that does not fit, then gives it as JSON for serde.

use serde_json::{Map, Number, Value as Json};

use super::{
    expectation::{expected, fits, matches_pattern, quoting_hint, shown},
    problem::{Problem, Step, name_of},
    schema::Rule,
    source_text::mask_passwords,
    suggestion::{closest, did_you_mean},
    tree::{Entry, Meaning, Node, Scalar, Span, Value},
};

/// Checks `root` against `schema`. The JSON is only sound if no problem was added.
pub(super) fn check(schema: &Json, root: &Node, problems: &mut Vec<Problem>) -> Json {
    let Some(rule) = Rule::root(schema) else { return Json::Null };
    Check { problems, path: Vec::new() }.node(rule, root, Span::default())
}

struct Check<'p> {
    problems: &'p mut Vec<Problem>,
    path: Vec<Step>,
}

impl Check<'_> {
    /// Checks `node`, which belongs to the key at `key_at`.
    fn node(&mut self, rule: Rule<'_>, node: &Node, key_at: Span) -> Json {
        if node.is_nothing() && rule.takes("null") {
            return Json::Null;
        }
        let alternatives = rule.alternatives();
        if let Some(rule) = alternatives.iter().find(|rule| fits(**rule, node)) {
            return self.node(*rule, node, key_at);
        }
        if !fits(rule, node) {
            self.wrong_shape(rule, node, key_at);
            return Json::Null;
        }
        match &node.value {
            Value::Scalar(scalar) => self.scalar(rule, scalar, node.at),
            Value::List(items) => self.list(rule, items),
            Value::Map(entries) => match rule.systems() {
                systems if systems.is_empty() => self.map(&[rule], entries, key_at),
                systems => self.system(&systems, node, entries, key_at),
            },
        }
    }

    fn scalar(&mut self, rule: Rule<'_>, scalar: &Scalar, at: Span) -> Json {
        let text = &scalar.text;
        match scalar.plain_meaning() {
            _ if rule.takes("string") => {}
            Meaning::Bool(value) => return Json::Bool(value),
            Meaning::Integer(value) => {
                let (least, most) = (rule.number("minimum"), rule.number("maximum"));
                let sound = least.is_none_or(|least| value as f64 >= least)
                    && most.is_none_or(|most| value as f64 <= most);
                if !sound {
                    self.refuse(rule, scalar, at);
                }
                return Json::from(value);
            }
            Meaning::Float(value) => return Number::from_f64(value).map_or(Json::Null, Json::Number),
            Meaning::Nothing | Meaning::Text => return Json::Null,
        }
        let words = rule.words();
        let unknown_word = !words.is_empty() && !words.contains(&text.as_str());
        let length = text.chars().count() as f64;
        let wrong_length = rule.number("minLength").is_some_and(|least| length < least)
            || rule.number("maxLength").is_some_and(|most| length > most);
        if unknown_word || wrong_length || !matches_pattern(rule, text) {
            self.refuse(rule, scalar, at);
        }
        Json::String(text.clone())
    }

    fn list(&mut self, rule: Rule<'_>, items: &[Node]) -> Json {
        let Some(rule) = rule.of_items() else { return Json::Null };
        let check = |(index, item): (usize, &Node)| {
            self.path.push(Step::Index(index));
            let json = self.node(rule, item, item.at);
            self.path.pop();
            json
        };
        items.iter().enumerate().map(check).collect()
    }

    /// A map whose `type` says which of `systems` it follows.
    fn system(&mut self, systems: &[(&str, Rule<'_>)], node: &Node, entries: &[Entry], key_at: Span) -> Json {
        let given = node.get("type").and_then(|entry| match &entry.value.value {
            Value::Scalar(scalar) if !entry.value.is_nothing() => Some((scalar, entry.value.at)),
            _ => None,
        });
        if let Some((scalar, _)) = given
            && let Some((_, rule)) = systems.iter().find(|(name, _)| *name == scalar.text)
        {
            return self.map(&[*rule], entries, key_at);
        }
        if let Some((scalar, at)) = given {
            let names: Vec<_> = systems.iter().map(|(name, _)| *name).collect();
            let typed = mask_passwords(&scalar.typed);
            self.path.push(Step::Key("type".into()));
            let message =
                format!("there is no type `{typed}` for {}", name_of(&self.path[..self.path.len() - 1]));
            let problem = Problem::new(at, &self.path, message).given(typed);
            let hint = closest(&scalar.typed, &names).map(did_you_mean);
            self.problems.push(Problem { hint, ..problem.allowed(owned(&names)) });
            self.path.pop();
        }
        // Without a system, what can be checked are the keys that any of them has.
        let rules: Vec<_> = systems.iter().map(|(_, rule)| *rule).collect();
        self.map(&rules, entries, key_at)
    }

    /// A map that follows one of `rules`: a key is known if any knows it, and required if all require it.
    fn map(&mut self, rules: &[Rule<'_>], entries: &[Entry], key_at: Span) -> Json {
        let mut json = Map::new();
        // A key that was misspelt is not reported as missing as well.
        let mut misspelt = Vec::new();
        for entry in entries {
            let is_undecided_type = rules.len() > 1 && entry.key == "type" && !entry.value.is_nothing();
            let Some(rule) = rules.iter().find_map(|rule| rule.of_key(&entry.key)) else {
                misspelt.extend(self.unknown_key(rules, entry));
                continue;
            };
            self.path.push(Step::Key(entry.key.clone()));
            if let Some(names) = rules.iter().find_map(|rule| rule.of_names()) {
                self.name(names, entry);
            }
            let value = if is_undecided_type && matches!(entry.value.value, Value::Scalar(_)) {
                Json::Null
            } else {
                self.node(rule, &entry.value, entry.key_at)
            };
            self.path.pop();
            json.insert(entry.key.clone(), value);
        }
        for key in rules[0].required() {
            let required = rules.iter().all(|rule| rule.required().contains(&key));
            let present = entries.iter().any(|entry| entry.key == key || misspelt.contains(&key));
            if required && !present {
                self.missing_key(rules, key, key_at);
            }
        }
        if entries.is_empty() && rules[0].number("minProperties").is_some() {
            let message = format!("{} has no entry; at least one is needed", name_of(&self.path));
            self.problems.push(Problem::new(key_at, &self.path, message));
        }
        Json::Object(json)
    }

    fn name(&mut self, rule: Rule<'_>, entry: &Entry) {
        if !matches_pattern(rule, &entry.key) {
            let expected = expected(&[rule]);
            let message = format!("`{}` cannot be a name: it must be {expected}", entry.key);
            self.problems.push(Problem::new(entry.key_at, &self.path, message));
        }
    }

    /// Reports the key; the known one that it was probably meant to be.
    fn unknown_key<'s>(&mut self, rules: &[Rule<'s>], entry: &Entry) -> Option<&'s str> {
        let mut keys: Vec<_> = rules.iter().flat_map(|rule| rule.keys()).collect();
        keys.sort_unstable();
        keys.dedup();
        let place = if self.path.is_empty() { String::new() } else { format!(" in {}", name_of(&self.path)) };
        let message = format!("unknown key `{}`{place}", entry.key);
        let mut path = self.path.clone();
        path.push(Step::Key(entry.key.clone()));
        let meant = closest(&entry.key, &keys);
        let problem = Problem::new(entry.key_at, &path, message).allowed(owned(&keys));
        self.problems.push(Problem { hint: meant.map(did_you_mean), ..problem });
        meant
    }

    fn missing_key(&mut self, rules: &[Rule<'_>], key: &str, key_at: Span) {
        let mut path = self.path.clone();
        path.push(Step::Key(key.into()));
        let Some(rule) = rules[0].of_key(key) else { return };
        let place = name_of(&self.path);
        let words = owned(&rule.words());
        let problem = Problem::new(key_at, &path, format!("missing key `{key}` in {place}")).allowed(words);
        let description = rule.description().filter(|_| rules.len() == 1);
        let hint = match description.and_then(|description| description.split(". ").next()) {
            Some(sentence) => format!("add `{key}`: {}", lower_first(sentence.trim_end_matches('.'))),
            None => format!("add `{key}`"),
        };
        self.problems.push(problem.hint(hint));
    }

    /// A scalar of the right shape that is not among what the rule allows.
    fn refuse(&mut self, rule: Rule<'_>, scalar: &Scalar, at: Span) {
        let words = rule.words();
        let typed = shown(rule, scalar);
        let name = name_of(&self.path);
        let message = if words.is_empty() {
            format!("{name} must be {}, not `{typed}`", expected(&[rule]))
        } else {
            format!("{name} cannot be `{typed}`")
        };
        let problem = Problem::new(at, &self.path, message).given(typed).allowed(owned(&words));
        self.problems.push(Problem { hint: closest(&scalar.typed, &words).map(did_you_mean), ..problem });
    }

    /// A list where a text belongs, and the like.
    fn wrong_shape(&mut self, rule: Rule<'_>, node: &Node, key_at: Span) {
        let alternatives = rule.alternatives();
        let rules = if alternatives.is_empty() { vec![rule] } else { alternatives };
        let name = name_of(&self.path);
        let expected = expected(&rules);
        let mut problem = match &node.value {
            _ if node.is_nothing() => {
                Problem::new(key_at, &self.path, format!("{name} has no value; it must be {expected}"))
            }
            Value::Scalar(scalar) => {
                let typed = shown(rule, scalar);
                let kind = match scalar.meaning() {
                    Meaning::Integer(_) | Meaning::Float(_) => "the number ",
                    Meaning::Bool(_) => "the truth value ",
                    _ if !scalar.plain => "the text ",
                    Meaning::Nothing | Meaning::Text => "",
                };
                let message = format!("{name} must be {expected}, not {kind}`{typed}`");
                Problem::new(node.at, &self.path, message).given(typed)
            }
            Value::List(_) => {
                Problem::new(key_at, &self.path, format!("{name} must be {expected}, not a list"))
            }
            Value::Map(_) => {
                Problem::new(key_at, &self.path, format!("{name} must be {expected}, not keys with values"))
            }
        };
        let words: Vec<_> = rules.iter().flat_map(|rule| rule.words()).collect();
        problem.allowed = owned(&words);
        problem.hint = quoting_hint(&rules, node);
        self.problems.push(problem);
    }
}

fn lower_first(sentence: &str) -> String {
    let mut characters = sentence.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
