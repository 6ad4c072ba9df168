//! What is wrong with how messages are to be written, whatever the system.

use tidemark_engine::write::WriteMode;

use crate::config::{Problem, Writing};

/// What is wrong where one of two keys is given and the other is not.
pub(crate) fn problem_of_pair(one: (&str, bool), other: (&str, bool)) -> Option<Problem> {
    let (given, missing) = match (one, other) {
        ((given, true), (missing, false)) | ((missing, false), (given, true)) => (given, missing),
        _ => return None,
    };
    Some(
        Problem::new([given], format!("there is no `{missing}` to go with it"))
            .hint(format!("add `{missing}`")),
    )
}

/// Everything that is.
pub(crate) fn validate(writing: &Writing) -> Vec<Problem> {
    let mode = writing.mode.as_str();
    let problem = Problem::new(
        ["write"],
        format!("a message cannot be taken back, so `{mode}` cannot be written to it"),
    );
    let problem = problem.hint("use `write: append`: every change becomes a message");
    (writing.mode != WriteMode::Append).then_some(problem).into_iter().collect()
}
