//! A list of SharePoint by Microsoft Graph's log of its changes.

use tidemark_test_servers::{Double, Graph};

use super::{COPY, client_credentials, kill_often, rows};
use crate::{growth::Chance, workbench::Workbench};

const SITE: &str = "contoso.example,2C712604,2D2244C3";

fn list(items: u64) -> Double<Graph> {
    let double = Double::of(Graph::new(SITE, "22e03ef3"));
    double.with(|list| (0..items).for_each(|n| _ = list.create(&format!("Order {n}"))));
    double
}

fn bench(double: &Double<Graph>) -> Workbench {
    let auth = client_credentials(double, "/tenant/oauth2/v2.0/token");
    Workbench::with_pipeline(&format!(
        "name: lists
source:
  type: http
  preset: sharepoint-graph
  url: {}/v1.0
  allow_private_addresses: true
  poll: 100ms
  with: {{site: \"{SITE}\"}}
{auth}  streams: {{orders: {{with: {{list: 22e03ef3}}}}}}
{COPY}",
        double.url()
    ))
}

fn is_equal(bench: &Workbench, double: &Double<Graph>) {
    rows::equal(bench, "orders", "id", &double.with(|list| list.records()), &["@odata.etag", "deleted"]);
}

/// New items, changed ones, some that go, and some that go and come back.
fn change(double: &Double<Graph>, chance: &mut Chance) {
    double.with(|list| {
        let ids = list.ids();
        for n in 0..60 {
            let id = ids[chance.below(ids.len() as u64) as usize];
            match n % 6 {
                0 => list.delete(id),
                1 => _ = list.create("New"),
                2 => {
                    list.delete(id);
                    list.put(id, "Back again");
                }
                _ => list.put(id, &format!("Changed, {n}")),
            }
        }
    });
}

#[test]
fn a_list_is_read_once_and_then_only_what_has_changed() {
    let double = list(3_000);
    let bench = bench(&double);
    bench.tidemark("check pipeline.yaml").succeeds();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    is_equal(&bench, &double);
    for repeats in [false, true] {
        double.with(|list| list.repeats = repeats);
        change(&double, &mut Chance::new(3));
        let before = double.trouble(|trouble| trouble.asked());
        bench.tidemark("run pipeline.yaml --once").succeeds();
        assert_eq!(double.trouble(|trouble| trouble.asked()) - before, 1, "one page holds what is new");
        is_equal(&bench, &double);
    }
}

#[test]
fn what_happens_while_a_list_is_read_is_told_afterwards() {
    let double = list(3_000);
    let bench = bench(&double);
    double.hang_after(7);
    let mut running = bench.start("run pipeline.yaml");
    running.until("a request hangs", || double.hangs());
    change(&double, &mut Chance::new(5));
    running.kill().was_killed();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    is_equal(&bench, &double);
}

#[test]
fn tokens_that_are_forgotten_cost_a_comparison_and_nothing_else() {
    let double = list(3_000);
    let bench = bench(&double);
    // In the middle of the first reading, of the log of changes, and between two runs.
    double.with(|list| list.forgets_after = Some(8));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    is_equal(&bench, &double);
    for after in [1, 2, 3] {
        double.with(|list| (list.has_short_pages, list.forgets_after) = (true, Some(after)));
        for seed in 0..5 {
            change(&double, &mut Chance::new(seed));
        }
        let outcome = bench.tidemark("run pipeline.yaml --once").succeeds();
        assert!(outcome.stderr.contains("the source has forgotten"), "{}", outcome.stderr);
        is_equal(&bench, &double);
    }
    assert!(double.with(|list| list.forgotten) >= 4);
}

#[test]
fn a_list_at_its_worst_is_read_whoever_is_killed() {
    let double = list(5_000);
    double.with(|list| {
        (list.repeats, list.has_empty_pages, list.has_short_pages) = (true, true, true);
    });
    double.trouble(|trouble| (trouble.throttle_every, trouble.token_uses) = (23, 17));
    let bench = bench(&double);
    kill_often(&bench, &double, (4, 60), |chance| change(&double, chance));
    double.with(|list| list.forgets_after = Some(20));
    kill_often(&bench, &double, (4, 40), |chance| change(&double, chance));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    is_equal(&bench, &double);
    assert!(double.trouble(|trouble| trouble.throttled() > 2 && trouble.refused() > 2));
    assert!(double.with(|list| list.forgotten) > 0);
}
