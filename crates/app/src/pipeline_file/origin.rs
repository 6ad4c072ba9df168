//! Where a pipeline came from: what a message needs that is written long after the file was read.

use tidemark_engine::Error;

use super::{
    interpolation::Concealed,
    problem::{Problem, Problems, Step},
    source_text::SourceText,
    tree::Node,
};

/// The pipeline file as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(super) file: SourceText,
    pub(super) root: Node,
    pub(super) concealed: Concealed,
}

impl Origin {
    /// `message` with what was typed in place of every value that came out of a variable or a file.
    pub(crate) fn hide(&self, message: &str) -> String {
        self.concealed.hide(message)
    }

    /// What a system said when it was tried, as a problem of its part of the file: `["destinations", "warehouse"]`.
    pub(crate) fn problem(&self, part: &[&str], error: &Error) -> Problem {
        let path: Vec<_> = part.iter().map(|step| Step::Key((*step).to_owned())).collect();
        let at = self.root.locate(part.iter().copied());
        let problem = Problem::new(at, &path, self.hide(&error.to_string()));
        Problem { hint: error.hint_text().map(|hint| self.hide(hint)), ..problem }
    }

    /// The problems with the text they point into.
    pub(crate) fn problems(&self, list: Vec<Problem>) -> Problems {
        Problems::new(self.file.clone(), list)
    }
}
