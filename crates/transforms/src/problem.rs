//! What is wrong with a step of the pipeline file.

/// A problem, and where it stands below the list of steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The way to the value from the list on: `["1", "filter"]`.
    pub path: Vec<String>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    pub(crate) fn new(path: &[&str], message: impl Into<String>, hint: Option<&str>) -> Self {
        let path = path.iter().map(|step| (*step).to_owned()).collect();
        Self { path, message: message.into(), hint: hint.map(str::to_owned) }
    }
}
