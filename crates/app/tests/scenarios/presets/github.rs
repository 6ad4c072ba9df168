//! Issues, commits and releases of a repository at GitHub.

use tidemark_test_servers::{Double, GitHub};

use super::{COPY, kill_often, rows};
use crate::{growth::Chance, workbench::Workbench};

fn repository(issues: u64) -> Double<GitHub> {
    let double = Double::of(GitHub::new());
    double.with(|repository| {
        (0..issues).for_each(|n| _ = repository.open(&format!("Issue {n}")));
        (0..issues / 2).for_each(|n| repository.commit(&format!("Commit {n}")));
        repository.release("v1");
    });
    double
}

fn bench(double: &Double<GitHub>) -> Workbench {
    Workbench::with_pipeline(&format!(
        "name: hub
source:
  type: http
  preset: github
  url: {}
  allow_private_addresses: true
  poll: 100ms
  auth: {{type: bearer, token: {}}}
  with: {{repository: octo/orders}}
{COPY}",
        double.url(),
        double.trouble(|trouble| trouble.token())
    ))
}

fn is_equal(bench: &Workbench, double: &Double<GitHub>) {
    for (list, key) in [("issues", "id"), ("commits", "sha"), ("releases", "id")] {
        rows::equal(bench, list, key, &double.with(|repository| repository.records(list)), &[]);
    }
}

fn change(double: &Double<GitHub>, chance: &mut Chance) {
    double.with(|repository| {
        let issues = repository.records("issues").len() as u64;
        repository.take_back();
        for n in 0..30 {
            repository.open("New");
            repository.toggle(1 + chance.below(issues));
            repository.commit(&format!("New, {n}, {}", chance.below(1_000_000)));
        }
        repository.release("next");
    });
}

#[test]
fn a_repository_is_read_once_and_then_what_was_updated() {
    let double = repository(950);
    let bench = bench(&double);
    bench.tidemark("check pipeline.yaml").succeeds();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    is_equal(&bench, &double);
    for seed in 0..3 {
        change(&double, &mut Chance::new(seed));
        bench.tidemark("run pipeline.yaml --once").succeeds();
        is_equal(&bench, &double);
    }
}

#[test]
fn a_repository_whose_pages_shift_and_whose_limit_is_reached_is_read_whoever_is_killed() {
    let double = repository(1_500);
    double.trouble(|trouble| trouble.throttle_every = 17);
    let bench = bench(&double);
    kill_often(&bench, &double, (6, 40), |chance| change(&double, chance));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    is_equal(&bench, &double);
    assert!(double.trouble(|trouble| trouble.throttled() > 1));
}
