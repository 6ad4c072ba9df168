//! Staging that is encrypted: nothing of the source can be read in it, and nothing is read without its key.

use std::{collections::BTreeMap, fs};

use crate::{rows::count_in_sqlite, workbench::Workbench};

/// A value that is found wherever it stands in plain.
const MARKER: &str = "Zweihundertvierundsechzig Marienkaefer";
const KEY: &str = "dGhlIGtleSBvZiBhIHN0YWdpbmcgc3RvcmUsIDMyIEI=";
const NEXT: &str = "5b8a0f1c2d3e4f5061728394a5b6c7d8e9fa0b1c2d3e4f5061728394a5b6c7d8";

fn pipeline(encryption: &str) -> String {
    format!(
        "name: sealed
source: {{type: files, path: ./data, streams: {{orders: {{key: [id]}}}}}}
staging:
  path: ./staging
{encryption}
destinations:
  copy: {{type: sqlite, path: ./copy.db, write: mirror}}
  later: {{type: sqlite, path: ./later.db, write: append, live: false}}
"
    )
}

fn typed() -> String {
    pipeline("  encryption: {key: \"${STAGING_KEY}\"}")
}

/// Some orders are staged in a segment, some in commits, and have arrived.
fn with_orders(pipeline: &str, variables: &[(&str, &str)]) -> Workbench {
    let bench = Workbench::with_pipeline(pipeline);
    let rows: String = (0..60_000).map(|id| format!("{id},{MARKER} {id}\n")).collect();
    bench.write("data/orders.csv", &format!("id,what_was_ordered\n{rows}"));
    bench.tidemark_with(variables, "run pipeline.yaml --once").succeeds();
    add_order(&bench, 60_000, variables);
    bench
}

fn add_order(bench: &Workbench, id: usize, variables: &[(&str, &str)]) {
    bench.append("data/orders.csv", &format!("{id},{MARKER} {id}\n"));
    bench.tidemark_with(variables, "run pipeline.yaml --once").succeeds();
    assert_eq!(count_in_sqlite(&bench.path("copy.db"), "orders"), id + 1);
}

/// Everything in staging but the lock, by name.
fn staged(bench: &Workbench) -> BTreeMap<String, Vec<u8>> {
    let mut staged = BTreeMap::new();
    let mut folders = vec![bench.path("staging")];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("run.lock") {
                let name = path.strip_prefix(bench.path("staging")).unwrap().to_str().unwrap().to_owned();
                staged.insert(name, fs::read(path).unwrap());
            }
        }
    }
    staged
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn nothing_that_was_read_can_be_read_in_staging() {
    let key = [("STAGING_KEY", KEY)];
    let bench = with_orders(&typed(), &key);
    bench.tidemark_with(&key, "resync pipeline.yaml").succeeds();
    let staged = staged(&bench);
    for kind in
        ["pipeline.json", "log/", "data/orders/init/", "schemas/orders/", "positions/copy/", "requests/"]
    {
        assert!(
            staged.keys().any(|name| name.starts_with(&format!("sealed/{kind}"))),
            "{kind}: {:?}",
            staged.keys()
        );
    }
    for (name, bytes) in &staged {
        // Values and their beginnings, names of columns, words and magic of the log, the key. Long ones: four bytes may be chance.
        for plain in [MARKER, "Zweihund", "what_was", "TIDEMARK", "\"log\"", "orders", KEY] {
            assert!(!holds(bytes, plain), "`{name}` holds `{plain}`");
        }
    }
    // The test can tell: without a key it is all there to be read.
    let bench = with_orders(&pipeline(""), &[]);
    let plain = self::staged(&bench);
    for text in ["Zweihund", "what_was", "TIDEMARK", "\"log\"", "orders"] {
        assert!(plain.values().any(|bytes| holds(bytes, text)), "{text}");
    }
}

#[test]
fn every_command_works_with_the_key() {
    let key = [("STAGING_KEY", KEY)];
    let bench = with_orders(&typed(), &key);
    let run = |arguments: &str| bench.tidemark_with(&key, arguments).succeeds();
    assert!(run("check pipeline.yaml").stdout.contains("encrypted"));
    assert!(run("status pipeline.yaml").stdout.contains("up to date"));
    assert!(run("changes pipeline.yaml --stream orders --from seq:1").stdout.contains(MARKER));
    run("replay pipeline.yaml --to later");
    assert_eq!(count_in_sqlite(&bench.path("later.db"), "orders"), 60_001);
    run("verify pipeline.yaml --against staging");
    run("dead-letters pipeline.yaml list");
}

#[test]
fn the_key_may_stand_in_a_file_or_be_printed_by_a_command() {
    let bench = with_orders(&typed(), &[("STAGING_KEY", KEY)]);
    bench.write("keys/staging.key", &format!("{KEY}\n"));
    bench.write("pipeline.yaml", &pipeline("  encryption: {key_file: keys/staging.key}"));
    add_order(&bench, 60_001, &[]);
    // As a command is found without a PATH.
    bench.write("pipeline.yaml", &pipeline("  encryption: {key_command: [/bin/cat, keys/staging.key]}"));
    add_order(&bench, 60_002, &[]);

    for (encryption, code, said) in [
        ("{key_file: keys/none.key}", 2, "the file `keys/none.key` cannot be read"),
        ("{key_file: data/orders.csv}", 2, "a key must be 32 bytes"),
        ("{key_command: [/bin/none]}", 2, "the command `/bin/none` cannot be run"),
        (
            "{key_command: [/bin/sh, -c, \"printf s3; echo cret; echo sealed >&2; exit 1\"]}",
            1,
            "exit status: 1: sealed",
        ),
        ("{key_command: [/bin/sh, -c, \"printf s3; echo cret\"]}", 2, "a key must be 32 bytes"),
    ] {
        bench.write("pipeline.yaml", &pipeline(&format!("  encryption: {encryption}")));
        for arguments in ["run pipeline.yaml --once", "status pipeline.yaml", "check pipeline.yaml"] {
            let ended = bench.tidemark(arguments);
            let code = if arguments.starts_with("check") { 2 } else { code };
            let ended = ended.exits_with(code);
            assert!(ended.stderr.contains(said), "{arguments}: {}", ended.stderr);
            assert!(!ended.stderr.contains("s3cret"), "{}", ended.stderr);
            assert!(!ended.stderr.contains(MARKER), "{}", ended.stderr);
        }
    }
}

#[test]
fn without_its_key_nothing_is_read_and_nothing_written() {
    let bench = with_orders(&typed(), &[("STAGING_KEY", KEY)]);
    let before = staged(&bench);
    bench.append("data/orders.csv", &format!("60001,{MARKER}\n"));
    let id = key_id(&before);
    let refused = |variables: &[(&str, &str)], code: i32, said: &[&str]| {
        for arguments in [
            "run pipeline.yaml --once",
            "status pipeline.yaml",
            "changes pipeline.yaml --stream orders",
            "replay pipeline.yaml --to later",
            "resync pipeline.yaml",
            "check pipeline.yaml",
        ] {
            let code = if arguments.starts_with("check") { 2 } else { code };
            let ended = bench.tidemark_with(variables, arguments).exits_with(code);
            for said in said {
                assert!(ended.stderr.contains(said), "{arguments}: {}", ended.stderr);
            }
            assert!(ended.stderr.contains("hint:"), "{arguments}: {}", ended.stderr);
            assert!(!ended.stderr.contains(KEY) && !ended.stderr.contains(NEXT), "{}", ended.stderr);
        }
        assert_eq!(staged(&bench), before);
        assert!(!bench.path("later.db").exists());
    };
    let wrong = ["is encrypted with key", &id, "and the key given is"];
    refused(&[("STAGING_KEY", NEXT)], 1, &wrong);
    // Lost.
    bench.write("pipeline.yaml", &pipeline("  encryption: {key: \"${STAGING_KEY:-}\"}"));
    refused(&[], 2, &["a key must be 32 bytes", "it is empty"]);
    bench.write("pipeline.yaml", &pipeline(""));
    refused(&[], 2, &["is encrypted with key", &id, "the pipeline file gives no key"]);
    // The keys of the log themselves.
    bench.write("pipeline.yaml", &typed());
    fs::remove_dir_all(bench.path("staging/sealed/keys")).unwrap();
    let ended = bench.tidemark_with(&[("STAGING_KEY", KEY)], "run pipeline.yaml --once").exits_with(3);
    assert!(ended.stderr.contains("its keys (`keys/`) are missing"), "{}", ended.stderr);
}

/// The name of the master key, out of the ring that counts.
fn key_id(staged: &BTreeMap<String, Vec<u8>>) -> String {
    let (_, ring) = staged.iter().rfind(|(name, _)| name.starts_with("sealed/keys/")).unwrap();
    ring[12..20].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_log_that_was_begun_in_plain_is_not_mixed_with_one_that_is_not() {
    let bench = with_orders(&pipeline(""), &[]);
    let before = staged(&bench);
    bench.write("pipeline.yaml", &typed());
    for arguments in ["run pipeline.yaml --once", "status pipeline.yaml", "check pipeline.yaml"] {
        let ended = bench.tidemark_with(&[("STAGING_KEY", KEY)], arguments).exits_with(2);
        assert!(ended.stderr.contains("was begun without encryption"), "{arguments}: {}", ended.stderr);
    }
    assert_eq!(staged(&bench), before);
}

#[test]
fn a_key_is_changed_while_nothing_else_is_rewritten() {
    let bench = with_orders(&typed(), &[("STAGING_KEY", KEY)]);
    let before = staged(&bench);
    let both = [("STAGING_KEY", NEXT), ("OLD", KEY)];
    bench.write(
        "pipeline.yaml",
        &pipeline("  encryption: {key: \"${STAGING_KEY}\", previous: [{key: \"${OLD}\"}]}"),
    );
    // Looking changes nothing; the run does.
    bench.tidemark_with(&both, "check pipeline.yaml").succeeds();
    bench.tidemark_with(&both, "status pipeline.yaml").succeeds();
    assert_eq!(staged(&bench), before);
    add_order(&bench, 60_001, &both);
    let after = staged(&bench);
    for (name, bytes) in before.iter().filter(|(name, _)| !name.contains("/positions/")) {
        assert_eq!(after.get(name) == Some(bytes), !name.starts_with("sealed/keys/"), "{name}");
    }
    // The former key can go, and opens nothing any more.
    bench.write("pipeline.yaml", &typed());
    add_order(&bench, 60_002, &[("STAGING_KEY", NEXT)]);
    bench.tidemark_with(&[("STAGING_KEY", NEXT)], "replay pipeline.yaml --to later").succeeds();
    assert_eq!(count_in_sqlite(&bench.path("later.db"), "orders"), 60_003);
    bench.tidemark_with(&[("STAGING_KEY", KEY)], "status pipeline.yaml").exits_with(1);
    let twice = [("STAGING_KEY", NEXT), ("OLD", NEXT)];
    bench.write(
        "pipeline.yaml",
        &pipeline("  encryption: {key: \"${STAGING_KEY}\", previous: [{key: \"${OLD}\"}]}"),
    );
    let ended = bench.tidemark_with(&twice, "run pipeline.yaml --once").exits_with(2);
    assert!(ended.stderr.contains("as the current key and as a previous one"), "{}", ended.stderr);
}

#[test]
fn a_process_that_is_killed_while_it_changes_the_key_loses_nothing() {
    let keys = [KEY.to_owned(), NEXT.to_owned()];
    let bench = with_orders(&typed(), &[("STAGING_KEY", KEY)]);
    bench.write(
        "pipeline.yaml",
        &pipeline("  encryption: {key: \"${STAGING_KEY}\", previous: [{key: \"${OLD}\"}]}"),
    );
    let (mut killed, mut changed) = (0, 0);
    for round in 0..30 {
        let (old, new) = (&keys[round % 2], &keys[(round + 1) % 2]);
        let variables = [("STAGING_KEY", new.as_str()), ("OLD", old.as_str())];
        let rings = || fs::read_dir(bench.path("staging/sealed/keys")).unwrap().count();
        let before = rings();
        let mut running = bench.start_with(&variables, "run pipeline.yaml");
        // Somewhere before, in the middle of, or after the change.
        if round % 3 == 0 {
            crate::process::pause(std::time::Duration::from_millis(5 + round as u64));
        } else {
            running.until("the ring is made", || rings() > before);
        }
        if running.runs() {
            running.kill().was_killed();
            killed += 1;
        }
        changed += rings() - before;
        // Whoever has both can always go on.
        bench.tidemark_with(&variables, "status pipeline.yaml").succeeds();
        // And then has changed it.
        add_order(&bench, 60_001 + round, &variables);
    }
    assert!(killed > 20 && changed > 10, "killed {killed} times, changed {changed} times");
    bench.write("pipeline.yaml", &typed());
    bench.tidemark_with(&[("STAGING_KEY", &keys[0])], "replay pipeline.yaml --to later").succeeds();
    assert_eq!(count_in_sqlite(&bench.path("later.db"), "orders"), 60_031);
}

#[test]
fn objects_that_are_damaged_or_exchanged_are_not_delivered() {
    let key = [("STAGING_KEY", KEY)];
    let bench = with_orders(&typed(), &key);
    let commit = |sequence: u64| bench.path(&format!("staging/sealed/log/00000000/{sequence:012}"));
    let sound = [fs::read(commit(1)).unwrap(), fs::read(commit(2)).unwrap()];
    let mut flipped = sound[0].clone();
    *flipped.last_mut().unwrap() ^= 1;
    for damaged in [flipped, sound[0][..sound[0].len() - 1].to_vec(), sound[1].clone(), b"plain".to_vec()] {
        fs::write(commit(1), damaged).unwrap();
        let ended = bench.tidemark_with(&key, "replay pipeline.yaml --to later").exits_with(3);
        assert!(ended.stderr.contains("is damaged") && ended.stderr.contains("hint:"), "{}", ended.stderr);
        assert_eq!(count_in_sqlite(&bench.path("later.db"), "orders"), 0);
    }
    fs::write(commit(1), &sound[0]).unwrap();
    bench.tidemark_with(&key, "replay pipeline.yaml --to later").succeeds();
}

#[test]
fn what_is_wrong_with_keys_is_said_and_not_shown() {
    let check = |encryption: &str| {
        let bench = Workbench::with_pipeline(&pipeline(&format!("  encryption: {encryption}")));
        let ended =
            bench.tidemark_with(&[("SHORT", "s3cret")], "check --offline pipeline.yaml").exits_with(2);
        assert!(!ended.stderr.contains("s3cret"), "{}", ended.stderr);
        ended.stderr
    };
    let said = [
        "{key: s3cret}",
        "{key: \"${SHORT}\"}",
        "{}",
        "{key: s3cret, key_file: ./key}",
        "{key_command: [], previous: [{key_file: a}, {}, {key: s3cret}]}",
    ]
    .map(check);
    insta::assert_snapshot!(said.join("\n"));
}
