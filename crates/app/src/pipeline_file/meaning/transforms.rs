//! Lists of steps.

use std::sync::Arc;

use tidemark_transforms::{Place, Step, Transforms};

use super::Findings;

impl Findings<'_> {
    /// The steps of the part of the file at `part`, to be done at `place`; `None` where there is none, or one that has a problem.
    pub(super) fn transforms(
        &mut self,
        part: &[&str],
        steps: &[Step],
        place: Place,
    ) -> Option<Arc<Transforms>> {
        if steps.is_empty() {
            return None;
        }
        let problems = match Transforms::new(steps, place) {
            Ok(transforms) => return Some(Arc::new(transforms)),
            Err(problems) => problems,
        };
        for problem in problems {
            let below = problem.path.iter().map(String::as_str);
            let path: Vec<_> = part.iter().copied().chain(["transforms"]).chain(below).collect();
            self.add(&path, &problem.message, problem.hint.as_deref());
        }
        None
    }
}
