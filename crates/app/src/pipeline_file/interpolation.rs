//! `${VARIABLE}`, `${VARIABLE:-default}` and `${file:/path}` in values. It happens after the YAML has been read, so
//! a value can never add keys or change the file's structure.

use std::{fmt, fs, path::Path};

/// Where variables come from; tests bring their own.
pub(crate) type Variables<'v> = dyn Fn(&str) -> Option<String> + 'v;

/// Replaces what was typed by what it stands for, and keeps track of what must not be shown.
pub(crate) struct Interpolation<'v> {
    variables: &'v Variables<'v>,
    /// The pipeline file's: where the relative path of a `${file:…}` starts.
    folder: &'v Path,
    concealed: Concealed,
}

/// Values that came from outside the file, each with what was typed for it.
#[derive(Clone, Default)]
pub(crate) struct Concealed(Vec<(String, String)>);

/// Why a value cannot be interpolated.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl<'v> Interpolation<'v> {
    pub(crate) fn new(variables: &'v Variables<'v>, folder: &'v Path) -> Self {
        Self { variables, folder, concealed: Concealed::default() }
    }

    /// The text that `typed` stands for, or everything in it that cannot be resolved.
    pub(crate) fn resolve(&mut self, typed: &str) -> Result<String, Vec<Missing>> {
        let (mut text, mut missing) = (String::new(), Vec::new());
        let (mut rest, concealed) = (typed, self.concealed.0.len());
        while let Some(start) = rest.find("${") {
            let (before, reference) = rest.split_at(start);
            // `$${` stands for `${` itself.
            if let Some(before) = before.strip_suffix('$') {
                text.extend([before, "${"]);
                rest = &reference[2..];
                continue;
            }
            text.push_str(before);
            let Some(end) = reference.find('}') else {
                missing.push(Missing {
                    message: "a `${` has no closing `}`".into(),
                    hint: "close it, or write `$${` for the characters themselves".into(),
                });
                return Err(missing);
            };
            match self.value(&reference[2..end]) {
                Ok(value) => text.push_str(&value),
                Err(problem) => missing.push(problem),
            }
            rest = &reference[end + 1..];
        }
        text.push_str(rest);
        if !missing.is_empty() {
            return Err(missing);
        }
        // A value that is made of defaults alone stands in the file for all to read.
        if self.concealed.0.len() > concealed {
            self.concealed.add(&text, typed);
        }
        Ok(text)
    }

    /// What must not be shown, once all values are resolved.
    pub(crate) fn into_concealed(self) -> Concealed {
        self.concealed
    }

    /// The value of what stands between the braces.
    fn value(&mut self, reference: &str) -> Result<String, Missing> {
        let value = if let Some(path) = reference.strip_prefix("file:") {
            self.file(path)?
        } else {
            let (name, default) = match reference.split_once(":-") {
                Some((name, default)) => (name, Some(default)),
                None => (reference, None),
            };
            if !is_variable_name(name) {
                return Err(Missing {
                    message: format!("`${{{name}}}` is not the name of a variable"),
                    hint: "write `${NAME}`, `${NAME:-default}` or `${file:/path}`; `$${` for the characters `${`".into(),
                });
            }
            match ((self.variables)(name), default) {
                // As in a shell, an empty variable counts as unset where there is a default. The default is typed
                // in the file, so it is nothing to conceal.
                (None, Some(default)) => return Ok(default.to_owned()),
                (Some(value), Some(default)) if value.is_empty() => return Ok(default.to_owned()),
                (Some(value), _) => value,
                (None, None) => {
                    return Err(Missing {
                        message: format!("the environment variable `{name}` is not set"),
                        hint: format!("set `{name}`, or give a default: `${{{name}:-…}}`"),
                    });
                }
            }
        };
        self.concealed.add(&value, &format!("${{{reference}}}"));
        Ok(value)
    }

    /// The content of a file, without the line end that editors put last.
    fn file(&self, path: &str) -> Result<String, Missing> {
        let content = fs::read_to_string(self.folder.join(path)).map_err(|error| Missing {
            message: format!("the file `{path}` cannot be read: {error}"),
            hint: "make the file readable for the user that runs the pipeline".into(),
        })?;
        Ok(content
            .strip_suffix('\n')
            .map(|text| text.strip_suffix('\r').unwrap_or(text))
            .unwrap_or(&content)
            .to_owned())
    }
}

impl fmt::Debug for Concealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Concealed {
    fn add(&mut self, value: &str, typed: &str) {
        if !value.is_empty() && value != typed {
            self.0.push((value.to_owned(), typed.to_owned()));
        }
    }

    /// `message` with what was typed in place of every value that came from outside the file.
    pub(crate) fn hide(&self, message: &str) -> String {
        let mut longest_first: Vec<_> = self.0.iter().collect();
        longest_first.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        longest_first
            .iter()
            .fold(message.to_owned(), |message, (value, typed)| replace(&message, value, typed))
    }
}

/// Replaces `value`; a short one only where it stands as a word, or it would tear other words apart.
fn replace(message: &str, value: &str, typed: &str) -> String {
    let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let (mut replaced, mut rest) = (String::new(), message);
    while let Some(start) = rest.find(value) {
        let (before, found) = rest.split_at(start);
        let after = &found[value.len()..];
        let inside_a_word = is_word(before.chars().next_back()) || is_word(after.chars().next());
        replaced.push_str(before);
        replaced.push_str(if value.len() < 4 && inside_a_word { value } else { typed });
        rest = after;
    }
    replaced + rest
}

fn is_variable_name(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars().all(word) && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(typed: &str) -> Result<String, Vec<Missing>> {
        let variables = |name: &str| match name {
            "USER" => Some("app".to_owned()),
            "EMPTY" => Some(String::new()),
            "YAML" => Some("x\nwrite: mirror".to_owned()),
            _ => None,
        };
        Interpolation::new(&variables, Path::new("/nowhere")).resolve(typed)
    }

    #[test]
    fn references_are_replaced() {
        for (typed, text) in [
            ("plain $5 {stream}", "plain $5 {stream}"),
            ("a-${USER}-${USER}", "a-app-app"),
            ("${NONE:-}", ""),
            ("${EMPTY:-other}", "other"),
            ("${EMPTY}", ""),
            ("$${USER}", "${USER}"),
            ("${YAML}", "x\nwrite: mirror"),
        ] {
            assert_eq!(resolve(typed).as_deref(), Ok(text), "{typed}");
        }
    }

    #[test]
    fn everything_missing_is_reported() {
        let messages = |typed| resolve(typed).unwrap_err().into_iter().map(|m| m.message).collect::<Vec<_>>();
        assert_eq!(messages("${A} ${B}").len(), 2);
        assert_eq!(messages("${A b}"), ["`${A b}` is not the name of a variable"]);
        assert_eq!(messages("${USER"), ["a `${` has no closing `}`"]);
        assert!(messages("${file:secret}")[0].starts_with("the file `secret` cannot be read"));
    }

    #[test]
    fn a_file_loses_its_last_line_end() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("password"), "hunter2\n").unwrap();
        let mut interpolation = Interpolation::new(&|_| None, folder.path());
        assert_eq!(interpolation.resolve("${file:password}").as_deref(), Ok("hunter2"));
    }

    #[test]
    fn messages_show_what_was_typed() {
        let variables = |name: &str| Some(if name == "PW" { "hunter2" } else { "a" }.to_owned());
        let mut interpolation = Interpolation::new(&variables, Path::new(""));
        interpolation.resolve("db://u:${PW}@h").unwrap();
        interpolation.resolve("${SHORT}").unwrap();
        interpolation.resolve("$${open").unwrap();
        let concealed = interpolation.into_concealed();
        assert_eq!(concealed.hide("cannot reach `db://u:hunter2@h`"), "cannot reach `db://u:${PW}@h`");
        assert_eq!(concealed.hide("${open"), "${open");
        assert_eq!(concealed.hide("bad password hunter2, `a`"), "bad password ${PW}, `${SHORT}`");
    }
}
