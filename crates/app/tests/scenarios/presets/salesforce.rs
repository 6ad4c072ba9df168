//! An object of Salesforce by queries that tell of deleted records, too.

use tidemark_test_servers::{Double, Salesforce};

use super::{COPY, client_credentials, kill_often, rows};
use crate::{growth::Chance, workbench::Workbench};

fn object(records: u64) -> Double<Salesforce> {
    let double = Double::of(Salesforce::new());
    double.with(|object| (0..records).for_each(|n| _ = object.create(&format!("Account {n}"))));
    double
}

fn bench(double: &Double<Salesforce>) -> Workbench {
    let auth = client_credentials(double, "/services/oauth2/token");
    Workbench::with_pipeline(&format!(
        "name: crm
source:
  type: http
  preset: salesforce
  url: {}
  allow_private_addresses: true
  poll: 100ms
{auth}  with: {{fields: \"Name, AnnualRevenue\"}}
  streams: {{Account: {{}}}}
{COPY}",
        double.url()
    ))
}

/// Moments are compared as their texts in UTC, without their fractions of nothing.
fn is_equal(bench: &Workbench, double: &Double<Salesforce>) {
    let mut records = double.with(|object| object.records());
    for record in &mut records {
        let moment = record["SystemModstamp"].as_str().unwrap().replace(".000+0000", "Z");
        record["SystemModstamp"] = moment.into();
    }
    rows::equal(bench, "Account", "Id", &records, &["attributes"]);
}

fn change(double: &Double<Salesforce>, chance: &mut Chance) {
    double.with(|object| {
        let ids = object.ids();
        for n in 0..60 {
            let id = ids[chance.below(ids.len() as u64) as usize];
            match n % 5 {
                0 => object.delete(id),
                1 => _ = object.create("New"),
                2 => {
                    object.delete(id);
                    object.put(id, "Out of the recycle bin");
                }
                _ => object.put(id, &format!("Changed, {n}")),
            }
        }
    });
}

#[test]
fn an_object_is_read_once_and_then_what_has_changed_and_gone() {
    let double = object(9_000);
    double.with(|object| (1..50).for_each(|id| object.delete(id)));
    let bench = bench(&double);
    bench.tidemark("check pipeline.yaml").succeeds();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    is_equal(&bench, &double);
    for seed in 0..3 {
        change(&double, &mut Chance::new(seed));
        let before = double.trouble(|trouble| trouble.asked());
        bench.tidemark("run pipeline.yaml --once").succeeds();
        assert_eq!(double.trouble(|trouble| trouble.asked()) - before, 1, "one batch holds what is new");
        is_equal(&bench, &double);
    }
}

#[test]
fn a_query_that_was_left_for_too_long_is_asked_again() {
    let double = object(9_000);
    let bench = bench(&double);
    kill_often(&bench, &double, (1, 3), |chance| change(&double, chance));
    double.hang_after(3);
    let mut running = bench.start("run pipeline.yaml");
    running.until("a request hangs", || double.hangs());
    running.kill().was_killed();
    double.with(|object| object.forget());
    bench.tidemark("run pipeline.yaml --once").succeeds();
    is_equal(&bench, &double);
}

#[test]
fn an_object_of_a_service_that_throttles_and_forgets_is_read_whoever_is_killed() {
    let double = object(15_000);
    double.with(|object| object.has_short_batches = true);
    double.trouble(|trouble| (trouble.throttle_every, trouble.token_uses) = (13, 5));
    let bench = bench(&double);
    kill_often(&bench, &double, (6, 20), |chance| change(&double, chance));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    // Where little was asked between the kills, more has to be.
    while !double.trouble(|trouble| trouble.throttled() > 1 && trouble.refused() > 2) {
        bench.tidemark("run pipeline.yaml --once").succeeds();
    }
    bench.tidemark("run pipeline.yaml --once").succeeds();
    is_equal(&bench, &double);
}
