//! A REST interface that pages by links to numbered pages, as Roundup has it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::Value as Json;
use tidemark_test_servers::{Roundup, Treatment};

use super::{copied, pipeline, run_with_kills, shown};
use crate::workbench::Workbench;

const COLUMNS: [&str; 5] = ["id", "title", "serial", "price", "note"];

/// Every item as the tracker has it, in one page.
fn items(tracker: &Roundup) -> Vec<String> {
    let page: Json = serde_json::from_str(&tracker.read("item?@fields=title,serial,price,note")).unwrap();
    let item = |item: &Json| COLUMNS.map(|column| shown(item, column)).join(" | ");
    let mut items: Vec<String> = page["data"]["collection"].as_array().unwrap().iter().map(item).collect();
    items.sort();
    items
}

fn copy(bench: &Workbench) -> Vec<String> {
    let mut rows = copied(bench, "SELECT id, title, serial, price, note FROM item");
    rows.sort();
    rows
}

#[test]
fn a_tracker_ends_equal_to_its_source_whenever_we_are_killed() {
    let tracker = Roundup::start(2_000);
    let (user, password) = tracker.login();
    let auth = format!("  auth: {{type: basic, username: {user}, password: \"{password}\"}}");
    let streams = "    item:
      path: /item
      query: {\"@page_size\": \"150\", \"@fields\": \"title,serial,price,note\", \"@sort\": id}
      records: $.data.collection[*]
      paging: {type: link, next: \"$.data.@links.next[0].uri\"}
      key: [id]
      exclude: [link]
      types: {price: \"decimal(12,2)\", note: text}
";
    let bench = Workbench::with_pipeline(&pipeline(&tracker.url(), &auth, streams));
    let pages = Arc::new(AtomicUsize::new(0));
    let counter = pages.clone();
    tracker.front().treat(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        Treatment::Delay(Duration::from_millis(50))
    });
    let asked = || pages.load(Ordering::SeqCst);
    run_with_kills(&bench, &asked, &[5, 11, 2]);
    assert_eq!(copy(&bench), items(&tracker));
    assert_eq!(
        copied(&bench, "SELECT serial, price FROM item WHERE id = '1777'"),
        ["9007199254742769 | 1777.77"]
    );

    for id in [1, 150, 151, 2_000] {
        tracker.change(id, "{\"title\": \"another\", \"note\": \"changed\"}");
    }
    for id in [2, 149, 1_999] {
        tracker.retire(id);
    }
    for n in 0..30 {
        tracker.create(&format!(
            "{{\"title\": \"new {n}\", \"serial\": 9007199254740993, \"price\": \"0.10\"}}"
        ));
    }
    run_with_kills(&bench, &asked, &[4, 9]);
    assert_eq!(copy(&bench), items(&tracker));
    assert_eq!(
        copied(&bench, "SELECT count(*), max(serial), min(serial) FROM item"),
        ["2027 | 9007199254742992 | 9007199254740993"]
    );
}
