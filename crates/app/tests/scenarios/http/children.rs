//! Streams below others.

use super::{
    api::{Api, json, records},
    copied, pipeline,
};
use tidemark_test_servers::Response;

use crate::workbench::Workbench;

const STREAMS: &str =
    "    orders: {path: /orders, key: [id], paging: {type: keyset, column: id, parameter: after}}
    lines:
      path: \"/orders/{{ parent.id }}/lines\"
      paging: {type: keyset, column: n, parameter: after}
      parent: {stream: orders, columns: {order_id: id}}
      key: [order_id, n]
";

/// Ten orders on pages of four; each has as many lines as its number, on pages of three. `gone` is an order that has just gone: it is
/// listed still, and its lines are not found.
fn orders(gone: usize, deleted: usize) -> Api {
    let api = Api::answering(|_| json("[]"));
    serve(&api, gone, deleted);
    api
}

fn serve(api: &Api, gone: usize, deleted: usize) {
    api.answers(move |asked| {
        let after = asked.number("after");
        match asked.path.split('/').nth(2) {
            None => json(format!("[{}]", records((after + 1..=10).filter(|id| *id != deleted).take(4)))),
            Some(id) if id == gone.to_string() => Response::new(404, &[], b"{}"),
            Some(id) => {
                let line = |n: usize| format!("{{\"n\": {n}, \"text\": \"{id}.{n}\"}}");
                let lines = (after + 1..=id.parse().unwrap()).take(3).map(line).collect::<Vec<_>>();
                json(format!("[{}]", lines.join(",")))
            }
        }
    });
}

#[test]
fn children_come_with_their_parents_and_go_with_them() {
    let api = orders(0, 0);
    let bench = Workbench::with_pipeline(&pipeline(&api.url(), "", STREAMS));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(
        copied(&bench, "SELECT count(*), sum(order_id), count(DISTINCT text) FROM lines"),
        ["55 | 385 | 55"]
    );
    // It is deleted while its parents are being read.
    serve(&api, 7, 0);
    bench.tidemark("run pipeline.yaml --once").succeeds();
    let counts = "SELECT (SELECT count(*) FROM orders), count(*), sum(order_id = 7) FROM lines";
    assert_eq!(copied(&bench, counts), ["10 | 48 | 0"]);
    serve(&api, 0, 7);
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(copied(&bench, counts), ["9 | 48 | 0"]);
}

#[test]
fn a_child_that_cannot_be_read_is_no_parent_that_is_gone() {
    let api = orders(0, 0);
    let bench = Workbench::with_pipeline(&pipeline(&api.url(), "  retry: {attempts: 1}", STREAMS));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    for status in [500, 403] {
        api.answers(move |asked| match asked.path.ends_with("/lines") {
            true => Response::new(status, &[("content-type", "application/json")], b"{}"),
            false => json(format!("[{}]", records((asked.number("after") + 1..=10).take(4)))),
        });
        let running = bench.start("run pipeline.yaml --once");
        running.until_it_says(&status.to_string());
        running.terminate();
        assert_eq!(copied(&bench, "SELECT count(*) FROM lines"), ["55"], "{status}");
    }
}
