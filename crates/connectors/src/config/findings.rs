//! What asking a system brings up.

use tidemark_engine::Error;

/// What is wrong, and what may become so.
#[derive(Debug, Default)]
pub struct Findings {
    /// What keeps the pipeline from running.
    pub problems: Vec<Error>,
    /// What does not, and should be known.
    pub warnings: Vec<Error>,
}

impl From<Vec<Error>> for Findings {
    fn from(problems: Vec<Error>) -> Self {
        Self { problems, warnings: Vec::new() }
    }
}

impl From<Error> for Findings {
    fn from(problem: Error) -> Self {
        vec![problem].into()
    }
}
