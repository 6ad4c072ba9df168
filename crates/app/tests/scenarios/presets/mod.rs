//! Presets: the real binary against doubles of the services, which behave as their vendors document it, at its worst.

mod dynamics;
mod examples;
mod github;
mod graph;
mod rows;
mod salesforce;
mod sharepoint_list;
mod weather;
mod x;

use tidemark_test_servers::{Double, Service};

use crate::{growth::Chance, workbench::Workbench};

/// A destination for any of them.
const COPY: &str = "staging: ./staging
destinations: {copy: {type: sqlite, path: ./copy.db, write: mirror}}
";

/// How a client gets its tokens from a double.
fn client_credentials<S: Service>(double: &Double<S>, path: &str) -> String {
    let url = double.url();
    format!(
        "  auth: {{type: oauth2, token_url: \"{url}{path}\", client_id: tidemark, client_secret: s3cret}}\n"
    )
}

/// Runs the pipeline until it hangs at a random one of the next `pages` pages, and kills it there; so often, with a change of the source
/// in between.
fn kill_often<S: Service>(
    bench: &Workbench,
    double: &Double<S>,
    (times, pages): (usize, u64),
    mut change: impl FnMut(&mut Chance),
) {
    let mut chance = Chance::from_the_environment();
    for _ in 0..times {
        double.hang_after(chance.below(pages));
        let mut running = bench.start("run pipeline.yaml");
        running.until("a request hangs", || double.hangs());
        change(&mut chance);
        running.kill().was_killed();
    }
}
