//! WebDAV, whose collections tell what has changed: Radicale, with tombstones and tokens that it forgets.

use std::{collections::BTreeMap, time::Duration};

use tidemark_test_servers::Radicale;

use super::rows;
use crate::{growth::Chance, process::pause, workbench::Workbench};

/// What the address book has, by entry.
type Book = BTreeMap<u64, String>;

fn bench(server: &Radicale) -> Workbench {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/http/contacts.yaml");
    let pipeline = std::fs::read_to_string(example).unwrap();
    let near = pipeline.replace("  poll: 1m\n", "  poll: 50ms\n  allow_hosts: [127.0.0.1]\n");
    assert_ne!(near, pipeline);
    Workbench::with_pipeline(&near).in_environment(&[
        ("DAV_URL", server.url()),
        ("DAV_USER", server.user().to_owned()),
        ("DAV_PASSWORD", "any".to_owned()),
        ("DAV_BOOK", server.book()),
    ])
}

/// Changes some of the book.
fn change(server: &Radicale, book: &mut Book, chance: &mut Chance) {
    for _ in 0..12 {
        let id = chance.below(60);
        if chance.below(4) == 0 && book.len() > 30 {
            if book.remove(&id).is_some() {
                server.remove(&id.to_string());
            }
        } else {
            let name = format!("Anna <{}> & co", chance.below(1_000_000));
            server.put(&id.to_string(), &name);
            book.insert(id, name);
        }
    }
}

/// The copy, by entry: the name on each card.
fn copy(bench: &Workbench) -> Book {
    let entry = |row: &String| {
        let (href, propstat) = row.split_once(" | ").unwrap();
        let id = href.rsplit('/').next().unwrap().trim_end_matches(".vcf").parse().unwrap();
        let name = propstat.split_once("FN:").unwrap().1;
        (id, name.split(['\\', '\r', '\n']).next().unwrap().to_owned())
    };
    copied_contacts(bench).iter().map(entry).collect()
}

fn copied_contacts(bench: &Workbench) -> Vec<String> {
    rows(&bench.path("contacts.db"), "SELECT href, propstat FROM contacts")
}

#[test]
fn an_address_book_ends_equal_to_its_source_through_kills_and_forgotten_tokens() {
    let (server, mut book, mut chance) = (Radicale::start(), Book::new(), Chance::from_the_environment());
    let bench = bench(&server);
    for _ in 0..5 {
        change(&server, &mut book, &mut chance);
    }
    bench.tidemark("check pipeline.yaml").succeeds();
    for _ in 0..6 {
        let running = bench.start("run pipeline.yaml");
        pause(Duration::from_millis(chance.below(700)));
        change(&server, &mut book, &mut chance);
        pause(Duration::from_millis(chance.below(300)));
        running.kill().was_killed();
    }
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(copy(&bench), book);

    // Tombstones tell what is gone.
    let gone = *book.keys().next().unwrap();
    book.remove(&gone);
    server.remove(&gone.to_string());
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(copy(&bench), book);
    let before = changes(&bench);
    assert!(before.last().unwrap().starts_with("d "), "{before:?}");

    // Without the token everything is read and compared.
    let gone = *book.keys().next().unwrap();
    book.remove(&gone);
    server.remove(&gone.to_string());
    server.put("7000", "Anna the latest");
    book.insert(7_000, "Anna the latest".to_owned());
    server.forget();
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(copy(&bench), book);
    let since = changes(&bench)[before.len()..].to_vec();
    assert_eq!(since.len(), 2, "what has not changed is not staged again: {since:?}");
}

/// Each change in the log: its operation and its entry.
fn changes(bench: &Workbench) -> Vec<String> {
    let printed = bench.tidemark("changes pipeline.yaml --json").succeeds().stdout;
    let shown = |line: &str| {
        let change: serde_json::Value = serde_json::from_str(line).unwrap();
        format!("{} {}", change["op"].as_str().unwrap(), change["values"]["href"])
    };
    printed.lines().map(shown).collect()
}
