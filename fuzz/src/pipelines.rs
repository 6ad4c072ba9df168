//! What people type.

use std::path::Path;

use crate::pipeline_file;

/// A pipeline file. Those that name other files are passed over: what those hold is not the input.
pub(crate) fn read(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if text.contains("file:") {
        return;
    }
    match pipeline_file::read(Path::new("pipeline.yaml"), text.to_owned()) {
        Ok(pipeline) => drop(format!("{pipeline:?}")),
        Err(problems) => {
            assert!(!problems.list.is_empty(), "it is refused, and nobody says why");
            // As YAML counts them.
            let lines = text.split(['\n', '\r']).count();
            for problem in &problems.list {
                assert!(problem.at.line <= lines + 1, "a problem behind the end of the file: {problem:?}");
            }
            drop((problems.for_people(), problems.for_programs().to_string()));
        }
    }
}
