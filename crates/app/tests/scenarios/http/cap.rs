//! OData, as SAP CAP speaks it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::Value as Json;
use tidemark_test_servers::{Cap, Treatment};

use super::{copied, pipeline, run_with_kills, shown};
use crate::workbench::Workbench;

const EXACT: &str = "headers: {Accept: \"application/json;IEEE754Compatible=true\"}";
const TYPES: &str = "key: [ID], types: {ID: int64, price: \"decimal(12,2)\", serial: int64}";
const COLUMNS: [&str; 5] = ["ID", "item", "price", "serial", "modifiedAt"];

/// Every order as the service has it, page by page, sorted by its text.
fn orders(cap: &Cap) -> Vec<String> {
    let (mut orders, mut target) = (Vec::new(), Some("Orders".to_owned()));
    while let Some(at) = target {
        let page: Json = serde_json::from_str(&cap.read(&at)).unwrap();
        for order in page["value"].as_array().unwrap() {
            // Both sides hold the same moment; SQLite's is text without zeros at its end.
            let cell = |column: &&str| shown(order, column).replace(".000Z", "Z");
            orders.push(COLUMNS.iter().map(cell).collect::<Vec<_>>().join(" | "));
        }
        target = page["@odata.nextLink"].as_str().map(str::to_owned);
    }
    orders.sort();
    orders
}

/// The same of the copy.
fn copy(bench: &Workbench) -> Vec<String> {
    let mut rows = copied(bench, "SELECT ID, item, price, serial, modifiedAt FROM Orders");
    rows.sort();
    rows
}

/// Counts the pages, each of which takes a moment.
fn counted(cap: &Cap, pause: Duration) -> Arc<AtomicUsize> {
    let pages = Arc::new(AtomicUsize::new(0));
    let counter = pages.clone();
    cap.front().treat(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        Treatment::Delay(pause)
    });
    pages
}

fn change(cap: &Cap) {
    for id in [1, 250, 251, 1_777, 2_500] {
        cap.send("PATCH", &format!("Orders('{id}')"), &format!("{{\"price\": \"{id}.99\", \"item\": null}}"));
    }
    for id in [2, 249, 252, 2_499] {
        cap.send("DELETE", &format!("Orders('{id}')"), "");
    }
    for id in 2_501..=2_520 {
        let serial = (1_u64 << 53) + id;
        cap.send(
            "POST",
            "Orders",
            &format!(
                "{{\"ID\": \"{id}\", \"item\": \"new\", \"price\": \"0.10\", \"serial\": \"{serial}\"}}"
            ),
        );
    }
}

#[test]
fn an_entity_set_ends_equal_to_its_source_whenever_we_are_killed() {
    let cap = Cap::start(2_500);
    let streams = format!("    Orders: {{{TYPES}, {EXACT}}}");
    let bench = Workbench::with_pipeline(&pipeline(&cap.url(), "  preset: odata", &streams));
    let pages = counted(&cap, Duration::from_millis(120));
    let asked = || pages.load(Ordering::SeqCst);
    run_with_kills(&bench, &asked, &[3, 7, 1, 9]);
    let first = copy(&bench);
    assert_eq!(first.len(), 2_500);
    assert!(
        first.contains(&"1777 | item 1777 | 1777.77 | 9007199254742769 | 2026-01-01T00:00:00Z".to_owned()),
        "{}",
        first[0]
    );
    assert_eq!(first, orders(&cap));
    change(&cap);
    run_with_kills(&bench, &asked, &[2, 8]);
    assert_eq!(copy(&bench), orders(&cap));
    assert_eq!(copy(&bench).len(), 2_516);
}

#[test]
fn a_watermark_asks_for_what_is_new_alone() {
    let cap = Cap::start(2_500);
    let filter =
        "query: {$filter: \"{% if cursor %}modifiedAt ge {{ cursor }}{% endif %}\"}, watermark: modifiedAt";
    let streams = |more: &str| format!("    Orders: {{{TYPES}, {EXACT}, {filter}{more}}}");
    let bench = Workbench::with_pipeline(&pipeline(&cap.url(), "  preset: odata", &streams("")));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(copy(&bench), orders(&cap));
    cap.send("PATCH", "Orders('77')", "{\"price\": \"0.01\"}");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    // Beyond this change, one page has what there is.
    let pages = counted(&cap, Duration::ZERO);
    change(&cap);
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(pages.load(Ordering::SeqCst), 1, "twenty-five new and changed ones are one page");
    let gone = ["SELECT count(*) FROM Orders WHERE ID IN (2, 249, 252, 2499)", "SELECT count(*) FROM Orders"];
    assert_eq!(
        gone.map(|query| copied(&bench, query)[0].clone()),
        ["4", "2520"],
        "a mark does not show what is gone"
    );
    bench.write("pipeline.yaml", &pipeline(&cap.url(), "  preset: odata", &streams(", compare_every: 1s")));
    crate::process::pause(Duration::from_secs(1));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(copy(&bench), orders(&cap));
}
