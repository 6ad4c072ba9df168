//! `examples/http` of services that have doubles, as they are.

use std::fs;

use tidemark_test_servers::{Double, Graph, Salesforce, Service, SharePointList};

use crate::{rows::count_in_sqlite, samples::examples, workbench::Workbench};

/// An example, allowed to reach this machine.
fn example<S: Service>(
    name: &str,
    double: &Double<S>,
    token_path: &str,
    more: &[(&'static str, String)],
) -> Workbench {
    let text = fs::read_to_string(examples("http").join(name)).unwrap();
    assert!(text.lines().count() <= 16, "{name}: at most fifteen lines of YAML below its comment");
    let common = [
        ("TOKEN_URL", format!("{}{token_path}", double.url())),
        ("CLIENT_ID", "tidemark".to_owned()),
        ("CLIENT_SECRET", "s3cret".to_owned()),
    ];
    Workbench::with_pipeline(&text.replacen("type: http\n", "type: http\n  allow_hosts: [127.0.0.1]\n", 1))
        .in_environment(&[&common, more].concat())
}

#[test]
fn a_list_of_sharepoint_becomes_a_table() {
    let double = Double::of(SharePointList::new("Orders"));
    double.with(|list| (0..9).for_each(|n| _ = list.create("An order", f64::from(n))));
    double.trouble(|trouble| trouble.grants = vec!["refresh_token"]);
    let more = [("SHAREPOINT_SITE", double.url()), ("REFRESH_TOKEN", "first".to_owned())];
    let bench = example("sharepoint-list.yaml", &double, "/tenant/oauth2/v2.0/token", &more);
    bench.tidemark("run pipeline.yaml --once").succeeds();
    double.with(|list| list.delete(4));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(count_in_sqlite(&bench.path("lists.db"), "Orders"), 8);
}

#[test]
fn a_list_of_graph_becomes_a_table() {
    let double = Double::of(Graph::new("contoso", "22e03ef3"));
    double.with(|list| (0..9).for_each(|_| _ = list.create("An order")));
    let more = [
        ("GRAPH_URL", format!("{}/v1.0", double.url())),
        ("SHAREPOINT_SITE_ID", "contoso".to_owned()),
        ("SHAREPOINT_LIST_ID", "22e03ef3".to_owned()),
    ];
    let bench = example("sharepoint-graph.yaml", &double, "/tenant/oauth2/v2.0/token", &more);
    bench.tidemark("run pipeline.yaml --once").succeeds();
    double.with(|list| list.delete(4));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(count_in_sqlite(&bench.path("lists.db"), "orders"), 8);
}

#[test]
fn accounts_of_salesforce_become_a_table() {
    let double = Double::of(Salesforce::new());
    double.with(|object| (0..9).for_each(|_| _ = object.create("An account")));
    let bench = example("salesforce.yaml", &double, "", &[("SALESFORCE_URL", double.url())]);
    bench.tidemark("run pipeline.yaml --once").succeeds();
    double.with(|object| object.delete(4));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    assert_eq!(count_in_sqlite(&bench.path("crm.db"), "Account"), 8);
}
