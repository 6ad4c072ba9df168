//! An export that is replaced every night: what the files are together is what the copy is.

use std::{fs, time::Duration};

use rusqlite::Connection;

use crate::{growth::Chance, process::pause, workbench::Workbench};

/// The example, which waits less for a night's export to be complete.
fn bench() -> Workbench {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/files/stock.yaml");
    let pipeline = fs::read_to_string(example).unwrap();
    let pipeline = pipeline.replace("at_rest: 30s", "at_rest: 500ms").replace("poll: 10s", "poll: 20ms");
    assert!(pipeline.contains("500ms") && pipeline.contains("20ms"), "{pipeline}");
    let bench = Workbench::with_pipeline(&pipeline);
    fs::create_dir(bench.path("export")).unwrap();
    bench
}

/// The articles of a shop, some of which come, change and go every night.
struct Shop {
    articles: Vec<(u64, u64)>,
    next: u64,
    chance: Chance,
}

impl Shop {
    fn new(articles: u64) -> Self {
        Self {
            articles: (0..articles).map(|id| (id, id * 3)).collect(),
            next: articles,
            chance: Chance::from_the_environment(),
        }
    }

    fn night(&mut self) {
        let chance = &mut self.chance;
        self.articles.retain(|_| chance.below(20) != 0);
        for (_, price) in &mut self.articles {
            *price += u64::from(chance.below(10) == 0);
        }
        for _ in 0..chance.below(3_000) {
            self.articles.push((self.next, self.next));
            self.next += 1;
        }
        // The order of an export says nothing.
        let turn = chance.below(self.articles.len() as u64) as usize;
        self.articles.rotate_left(turn);
    }

    /// Writes the night's export, in two files, out of sight at first.
    fn export(&self, bench: &Workbench) {
        let (first, second) = self.articles.split_at(self.articles.len() / 2);
        for (name, articles) in [("stock-1.csv", first), ("stock-2.csv", second)] {
            let lines = articles.iter().map(|(id, price)| format!("{id},article {id},{price}\n"));
            let text: String = ["id,name,price\n".to_owned()].into_iter().chain(lines).collect();
            bench.write(&format!("export/.{name}"), &text);
        }
        for name in ["stock-1.csv", "stock-2.csv"] {
            fs::rename(bench.path(&format!("export/.{name}")), bench.path(&format!("export/{name}")))
                .unwrap();
        }
    }

    fn rows(&self) -> Vec<(u64, String, u64)> {
        let mut rows: Vec<_> =
            self.articles.iter().map(|(id, price)| (*id, format!("article {id}"), *price)).collect();
        rows.sort_unstable();
        rows
    }
}

/// What the copy has; nothing when there is none yet.
fn copied(bench: &Workbench) -> Vec<(u64, String, u64)> {
    let Ok(copy) = Connection::open(bench.path("stock.db")) else { return Vec::new() };
    let Ok(mut query) = copy.prepare("SELECT id, name, price FROM stock ORDER BY id") else {
        return Vec::new();
    };
    let number = |value: i64| u64::try_from(value).unwrap();
    let rows =
        query.query_map([], |row| Ok((number(row.get(0)?), row.get(1)?, number(row.get(2)?)))).unwrap();
    rows.collect::<Result<_, _>>().unwrap_or_default()
}

#[test]
fn an_export_that_is_replaced_every_night_ends_equal_through_kills() {
    let (bench, mut shop) = (bench(), Shop::new(40_000));
    shop.export(&bench);
    for _ in 0..6 {
        let running = bench.start("run pipeline.yaml");
        pause(Duration::from_millis(200 + shop.chance.below(1_200)));
        shop.night();
        shop.export(&bench);
        pause(Duration::from_millis(shop.chance.below(600)));
        running.kill().was_killed();
    }
    let mut running = bench.start("run pipeline.yaml");
    running.until("the copy is the last export", || copied(&bench) == shop.rows());
    for _ in 0..2 {
        shop.night();
        shop.export(&bench);
        running.until("the copy is the night's export", || copied(&bench) == shop.rows());
    }
    running.terminate().succeeds();
    let before = bench.tidemark("changes pipeline.yaml --json").succeeds().stdout.lines().count();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let after = bench.tidemark("changes pipeline.yaml --json").succeeds().stdout.lines().count();
    assert_eq!(after, before, "what has not changed is not staged again");
}

#[test]
fn an_export_that_lacks_most_of_its_records_deletes_nothing() {
    let (bench, shop) = (bench(), Shop::new(1_000));
    shop.export(&bench);
    bench.tidemark("run pipeline.yaml --once").succeeds();
    bench.write("export/stock-2.csv", "id,name,price\n");
    let refused = bench.tidemark("run pipeline.yaml --once").exits_with(3);
    assert!(refused.stderr.contains("500 of 1000 records"), "{}", refused.stderr);
    assert_eq!(copied(&bench), shop.rows());
    fs::remove_file(bench.path("export/stock-1.csv")).unwrap();
    fs::remove_file(bench.path("export/stock-2.csv")).unwrap();
    let refused = bench.tidemark("run pipeline.yaml --once").exits_with(1);
    assert!(refused.stderr.contains("nothing is deleted"), "{}", refused.stderr);
    assert_eq!(copied(&bench), shop.rows());
    shop.export(&bench);
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(copied(&bench), shop.rows());
}

#[test]
fn what_cannot_be_asked_for_its_records_is_verified_against_the_log() {
    let (bench, shop) = (bench(), Shop::new(50));
    shop.export(&bench);
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let refused = bench.tidemark("verify pipeline.yaml").exits_with(2);
    assert!(
        refused.stderr.contains("a source of files cannot be asked for its records"),
        "{}",
        refused.stderr
    );
    assert!(refused.stderr.contains("--against staging"), "{}", refused.stderr);
    bench.tidemark("verify pipeline.yaml --against staging").succeeds();
}

#[test]
fn files_that_began_to_grow_may_be_compared_later() {
    let (bench, mut shop) = (bench(), Shop::new(100));
    let compared = fs::read_to_string(bench.path("pipeline.yaml")).unwrap();
    let growing = compared.lines().filter(|line| !line.contains("changes:") && !line.contains("at_rest:"));
    bench.write("pipeline.yaml", &growing.map(|line| format!("{line}\n")).collect::<String>());
    shop.export(&bench);
    bench.tidemark("run pipeline.yaml --once").succeeds();
    bench.write("pipeline.yaml", &compared);
    shop.night();
    shop.export(&bench);
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(copied(&bench), shop.rows(), "what went meanwhile is gone");
}
