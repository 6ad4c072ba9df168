//! A table of Dataverse by its log of changes.

use tidemark_test_servers::{Dataverse, Double};

use super::{COPY, client_credentials, kill_often, rows};
use crate::{growth::Chance, workbench::Workbench};

fn table(records: u64) -> Double<Dataverse> {
    let double = Double::of(Dataverse::new());
    double.with(|table| (0..records).for_each(|n| _ = table.create(&format!("Account {n}"))));
    double
}

fn bench(double: &Double<Dataverse>) -> Workbench {
    let auth = client_credentials(double, "/tenant/oauth2/v2.0/token");
    Workbench::with_pipeline(&format!(
        "name: crm
source:
  type: http
  preset: dynamics
  url: {}/api/data/v9.2
  allow_private_addresses: true
  poll: 100ms
{auth}  streams: {{accounts: {{key: [accountid]}}}}
{COPY}",
        double.url()
    ))
}

fn is_equal(bench: &Workbench, double: &Double<Dataverse>) {
    let records = double.with(|table| table.records());
    rows::equal(bench, "accounts", "accountid", &records, &["@odata.etag", "@odata.context", "id"]);
}

fn change(double: &Double<Dataverse>, chance: &mut Chance) {
    double.with(|table| {
        let ids = table.ids();
        for n in 0..60 {
            let id = ids[chance.below(ids.len() as u64) as usize];
            match n % 5 {
                0 => table.delete(id),
                1 => _ = table.create("New"),
                // Made and deleted before anybody asks: the service tells of it all the same.
                2 => {
                    let passing = table.create("Passing");
                    table.delete(passing);
                }
                _ => table.put(id, &format!("Changed, {n}")),
            }
        }
    });
}

#[test]
fn a_table_is_read_once_and_then_what_has_changed_and_gone() {
    let double = table(12_000);
    let bench = bench(&double);
    bench.tidemark("check pipeline.yaml").succeeds();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    is_equal(&bench, &double);
    for seed in 0..3 {
        change(&double, &mut Chance::new(seed));
        let before = double.trouble(|trouble| trouble.asked());
        bench.tidemark("run pipeline.yaml --once").succeeds();
        assert_eq!(double.trouble(|trouble| trouble.asked()) - before, 1, "one page holds what is new");
        is_equal(&bench, &double);
    }
    change(&double, &mut Chance::new(9));
    double.with(|table| table.expire());
    let outcome = bench.tidemark("run pipeline.yaml --once").succeeds();
    assert!(outcome.stderr.contains("the source has forgotten"), "{}", outcome.stderr);
    is_equal(&bench, &double);
}

#[test]
fn a_table_of_a_service_that_throttles_and_forgets_is_read_whoever_is_killed() {
    let double = table(22_000);
    double.trouble(|trouble| {
        (trouble.throttle_every, trouble.token_uses, trouble.tells_dates) = (7, 3, true);
    });
    let bench = bench(&double);
    kill_often(&bench, &double, (6, 12), |chance| change(&double, chance));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    is_equal(&bench, &double);
    assert!(double.trouble(|trouble| trouble.throttled() > 1 && trouble.refused() > 2));
}
