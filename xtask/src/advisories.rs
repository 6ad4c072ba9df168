//! `cargo xtask advisories`: known weaknesses in the dependencies. Apart from the tests, because its database is
//! fetched from GitHub and changes without us.

use crate::{
    Result,
    needs::{self, Need, cargo_deny},
    project::Project,
    shell::run,
};

pub(crate) fn check(project: &Project, install: bool) -> Result {
    needs::meet(project, &[Need::CargoDeny], install, "cargo xtask advisories")?;
    run(cargo_deny(project).args(["check", "advisories"]))
}
