//! A list of SharePoint by its REST service.

use tidemark_test_servers::{Double, SharePointList};

use super::{COPY, client_credentials, kill_often, rows};
use crate::{growth::Chance, workbench::Workbench};

const TOKENS: &str = "/tenant/oauth2/v2.0/token";

fn list(items: u64) -> Double<SharePointList> {
    let double = Double::of(SharePointList::new("O'Hare orders"));
    double.with(|list| (0..items).for_each(|n| _ = list.create(&format!("Order {n}"), n as f64 / 4.0)));
    // Entra ID gives SharePoint's REST service no tokens for a client's secret alone: somebody has to have signed in once.
    double.trouble(|trouble| trouble.grants = vec!["refresh_token"]);
    double
}

fn bench(double: &Double<SharePointList>, keys: &str) -> Workbench {
    let auth = client_credentials(double, TOKENS)
        .replace("client_secret:", "grant: refresh_token, refresh_token: first, client_secret:");
    Workbench::with_pipeline(&format!(
        "name: lists
source:
  type: http
  preset: sharepoint-list
  url: {}
  allow_private_addresses: true
  poll: 100ms
{auth}  streams: {{orders: {{with: {{list: \"O'Hare orders\"}}{keys}}}}}
{COPY}",
        double.url()
    ))
}

fn is_equal(bench: &Workbench, double: &Double<SharePointList>) {
    rows::equal(bench, "orders", "Id", &double.with(|list| list.records()), &["ID"]);
}

/// New items, changed ones, and some that go.
fn change(double: &Double<SharePointList>, chance: &mut Chance) {
    double.with(|list| {
        let ids = list.ids();
        for n in 0..40 {
            let id = ids[chance.below(ids.len() as u64) as usize];
            match n % 4 {
                0 => list.delete(id),
                1 => _ = list.create("New", 0.5),
                _ => list.change(id, &format!("Changed, {n}")),
            }
        }
    });
}

#[test]
fn a_list_of_25_000_items_is_read_by_4_000_and_again_with_what_has_changed() {
    let double = list(25_000);
    let bench = bench(&double, "");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(double.trouble(|trouble| trouble.asked() - trouble.refused()), 7, "pages");
    is_equal(&bench, &double);
    change(&double, &mut Chance::new(7));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    is_equal(&bench, &double);
}

#[test]
fn a_list_that_throttles_forgets_and_shows_pages_without_items_is_read_whoever_is_killed() {
    let double = list(25_000);
    double.with(|list| (list.has_empty_pages, list.links_are_relative) = (true, true));
    double.trouble(|trouble| {
        (trouble.throttle_every, trouble.token_uses, trouble.tells_dates) = (9, 5, true);
    });
    let bench = bench(&double, "");
    kill_often(&bench, &double, (6, 16), |chance| change(&double, chance));
    double.with(|list| list.has_short_pages = true);
    bench.tidemark("run pipeline.yaml --once").succeeds();
    is_equal(&bench, &double);
    assert!(double.trouble(|trouble| trouble.throttled() > 2 && trouble.refused() > 2));
}

#[test]
fn a_list_with_an_index_is_asked_for_what_was_modified_and_one_without_says_why_not() {
    let double = list(6_000);
    let bench = bench(&double, ", watermark: Modified, overlap: 1s");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    is_equal(&bench, &double);
    double.with(|list| {
        list.change(3_000, "Changed");
        list.create("New", 1.0);
    });
    let running = bench.start("run pipeline.yaml --once");
    running.until_it_says("SPQueryThrottledException");
    double.with(|list| list.is_indexed = true);
    running.ends().succeeds();
    is_equal(&bench, &double);
    double.with(|list| list.change(4_000, "Changed"));
    let before = double.trouble(|trouble| trouble.asked() - trouble.refused());
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(
        double.trouble(|trouble| trouble.asked() - trouble.refused()) - before,
        1,
        "one page holds what is new"
    );
    is_equal(&bench, &double);
}
