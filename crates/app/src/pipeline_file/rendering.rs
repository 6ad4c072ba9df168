//! Problems as people and as programs read them.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use serde_json::{Value as Json, json};

use super::problem::{Problem, Problems};

const PLACE: Style = Style::new().bold();
const GUTTER: Style = AnsiColor::Blue.on_default();
const MARK: Style = AnsiColor::Red.on_default().bold();
const LABEL: Style = AnsiColor::Cyan.on_default().bold();

/// The indent of what belongs to a problem, and the least width of a line number in it.
const MARGIN: usize = 2;
const NUMBER: usize = 3;

impl Problems {
    /// For a terminal, in colour; whoever prints it takes the colour out where it does not belong.
    ///
    /// ```text
    /// pipeline.yaml:12:5: unknown key `wirte` in destination `warehouse`
    ///    12 |     wirte: mirror
    ///       |     ^^^^^
    ///   allowed: adopt, live, on_error, path, table, type, write
    ///   hint: did you mean `write`?
    /// ```
    pub(crate) fn for_people(&self) -> String {
        let mut text = String::new();
        for problem in &self.list {
            // Writing to a string cannot fail.
            let _ = self.describe(problem, &mut text);
            text.push('\n');
        }
        let (count, noun) = (self.list.len(), if self.list.len() == 1 { "problem" } else { "problems" });
        let _ = writeln!(text, "{count} {noun} in {}", self.file.path.display());
        text
    }

    /// For programs: an array with an object a problem.
    pub(crate) fn for_programs(&self) -> Json {
        let object = |problem: &Problem| {
            let mut object = json!({
                "file": self.file.path,
                "line": problem.at.line.max(1),
                "column": problem.at.column.max(1),
                "path": problem.dotted_path(),
                "message": problem.message,
            });
            if let Some(given) = &problem.given {
                object["given"] = json!(given);
            }
            if !problem.allowed.is_empty() {
                object["allowed"] = json!(problem.allowed);
            }
            object["hint"] = json!(problem.hint);
            object
        };
        self.list.iter().map(object).collect()
    }

    fn describe(&self, problem: &Problem, out: &mut String) -> std::fmt::Result {
        let Problem { at, message, allowed, hint, .. } = problem;
        write!(out, "{PLACE}{}", self.file.path.display())?;
        if at.line > 0 {
            write!(out, ":{}:{}", at.line, at.column)?;
        }
        writeln!(out, ":{PLACE:#} {message}")?;
        let margin = " ".repeat(MARGIN);
        if let Some(excerpt) = self.file.excerpt(*at) {
            let (line, pad, mark) = (&excerpt.line, " ".repeat(excerpt.before), "^".repeat(excerpt.width));
            let width = NUMBER.max(at.line.to_string().len());
            writeln!(out, "{margin}{GUTTER}{:>width$} |{GUTTER:#} {line}", at.line)?;
            writeln!(out, "{margin}{GUTTER}{:>width$} |{GUTTER:#} {pad}{MARK}{mark}{MARK:#}", "")?;
        }
        if !allowed.is_empty() {
            writeln!(out, "{margin}{LABEL}allowed:{LABEL:#} {}", allowed.join(", "))?;
        }
        if let Some(hint) = hint {
            writeln!(out, "{margin}{LABEL}hint:{LABEL:#} {hint}")?;
        }
        Ok(())
    }
}
