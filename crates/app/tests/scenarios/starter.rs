//! `tidemark init`

use std::fs;

use crate::workbench::Workbench;

#[test]
fn every_starter_is_sound() {
    for (number, flags) in [
        "",
        "--source ./data",
        "--source data/orders.csv --destination copy.db",
        "--source data --destination sqlite:out/copy",
        "--source /var/data --destination ./archive",
        "--source odd[1].csv --destination 2024.db",
    ]
    .iter()
    .enumerate()
    {
        let bench = Workbench::new();
        let file = format!("{number}.yaml");
        let written = bench.tidemark(&format!("init {flags} {file}"));
        assert_eq!((written.code(), written.stderr.as_str()), (0, ""), "{flags}");
        let checked = bench.tidemark(&format!("check --offline {file}"));
        assert_eq!((checked.code(), checked.stderr.as_str()), (0, ""), "{flags}");
    }
}

#[test]
fn a_starter_reads_well() {
    let bench = Workbench::new();
    let ended = bench.tidemark("init --source data/orders.csv --destination out/copy.db orders.yaml");
    assert_eq!(ended.stdout, "wrote `orders.yaml`; next: tidemark check orders.yaml\n");
    insta::assert_snapshot!(fs::read_to_string(bench.path("orders.yaml")).unwrap());
}

#[test]
fn paths_are_seen_from_the_pipeline_file() {
    let bench = Workbench::new();
    bench.write("conf/keep", "");
    assert_eq!(bench.tidemark("init --source data --destination copy.db conf/p.yaml").code(), 0);
    let text = fs::read_to_string(bench.path("conf/p.yaml")).unwrap();
    assert!(text.contains("path: ../data\n") && text.contains("path: ../copy.db\n"), "{text}");
}

#[test]
fn nothing_is_overwritten() {
    let bench = Workbench::new();
    bench.write("p.yaml", "mine");
    let ended = bench.tidemark("init p.yaml");
    assert_eq!(ended.code(), 2);
    insta::assert_snapshot!(ended.stderr);
    assert_eq!(fs::read_to_string(bench.path("p.yaml")).unwrap(), "mine");
}

#[test]
fn an_unknown_system_is_refused_without_its_password() {
    let bench = Workbench::new();
    let ended = bench.tidemark("init --source mysql://app:hunter2@db/shop p.yaml");
    assert_eq!(ended.code(), 2);
    insta::assert_snapshot!(ended.stderr);
    assert!(!bench.path("p.yaml").exists());
}

#[test]
fn a_pipeline_that_would_feed_itself_is_not_written() {
    let bench = Workbench::new();
    let ended = bench.tidemark("init --source data --destination ./data p.yaml");
    assert_eq!(ended.code(), 2);
    assert!(ended.stderr.contains("destination `data` writes to what `source` reads"), "{}", ended.stderr);
    assert!(!bench.path("p.yaml").exists());
}
