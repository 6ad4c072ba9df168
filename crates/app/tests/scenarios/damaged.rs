//! Every kind of object in a staging store, damaged in every way: `fsck` says so, a run delivers nothing of it, and what comes to its
//! end all the same has delivered everything.
//!
//! One staging store is made that has an object of every kind. Each case works on a copy of it, with a destination that is new. A
//! kind of object for which the table has no line fails the test.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::{process::Outcome, workbench::Workbench};

/// Rows of `orders`, whose notes do not compress.
fn orders(salt: u64, range: std::ops::Range<u64>) -> String {
    let note = |id: u64| -> String {
        (1..12)
            .map(|part| format!("{:016x}", (salt + id * 131 + part).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
            .collect()
    };
    range.map(|id| format!("{id},{},{}\n", id * 10, note(id))).collect()
}

/// What is done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Damage {
    Truncated,
    Flipped,
    Swapped,
    Emptied,
    Deleted,
}

const DAMAGES: [Damage; 5] =
    [Damage::Truncated, Damage::Flipped, Damage::Swapped, Damage::Emptied, Damage::Deleted];

/// What a command makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meets {
    /// It ends with exit code 3 and names the object, or what is lost with it.
    Stops,
    /// It goes on, for nothing is needed of the object that something else does not tell as well.
    GoesOn,
    /// Either: whoever writes what is missing before it is read puts it there again, to the letter.
    MayHeal,
}
use Meets::{GoesOn, MayHeal, Stops};

/// A kind of object.
struct Kind {
    name: &'static str,
    /// Whether an object is one, by its path and all paths.
    is: fn(&str, &BTreeSet<String>) -> bool,
    /// What `fsck` and `run` make of one that is changed in any way.
    changed: (Meets, Meets),
    /// And of one that is gone.
    deleted: (Meets, Meets),
}

const KINDS: &[Kind] = &[
    Kind {
        name: "identity",
        is: |path, _| path == "pipeline.json",
        changed: (Stops, Stops),
        deleted: (Stops, Stops),
    },
    Kind {
        name: "schema",
        is: |path, _| path.starts_with("schemas/"),
        changed: (Stops, Stops),
        deleted: (Stops, MayHeal),
    },
    Kind {
        name: "segment of an initial sync",
        is: |path, _| is_segment(path, "/init/") && !is_folded(path),
        changed: (Stops, Stops),
        deleted: (Stops, Stops),
    },
    Kind {
        name: "segment of changes",
        is: |path, _| is_segment(path, "/cdc/") && !is_folded(path),
        changed: (Stops, Stops),
        deleted: (Stops, Stops),
    },
    Kind {
        name: "folded segment",
        is: |path, all| path.starts_with("data/") && is_folded(path) && is_live(path, all),
        changed: (Stops, Stops),
        deleted: (Stops, Stops),
    },
    Kind {
        // Those that are folded stay for a moment; nobody reads them any more.
        name: "folded commit's own object",
        is: |path, all| path.starts_with("log/") && number(path) <= folded(all),
        changed: (GoesOn, GoesOn),
        deleted: (GoesOn, GoesOn),
    },
    Kind {
        name: "commit",
        is: |path, all| {
            path.starts_with("log/") && (folded(all) + 1..newest(all, "log/")).contains(&number(path))
        },
        changed: (Stops, Stops),
        deleted: (Stops, Stops),
    },
    Kind {
        // Only those who have it know that it was there.
        name: "newest commit",
        is: |path, all| path.starts_with("log/") && number(path) == newest(all, "log/"),
        changed: (Stops, Stops),
        deleted: (Stops, Stops),
    },
    Kind {
        name: "volume",
        is: |path, all| path.starts_with("volumes/") && is_live(path, all),
        changed: (Stops, Stops),
        deleted: (Stops, Stops),
    },
    Kind {
        // Folded again: it stays for ten minutes, for those who are reading it.
        name: "doomed volume or segment",
        is: |path, all| is_folded(path) && !is_live(path, all),
        changed: (GoesOn, GoesOn),
        deleted: (GoesOn, GoesOn),
    },
    Kind {
        // While the one before it stands, and what it names, nothing is missing.
        name: "newest layout",
        is: |path, all| path.starts_with("layout/") && number(path) == newest(all, "layout/"),
        changed: (Stops, Stops),
        deleted: (GoesOn, GoesOn),
    },
    Kind {
        name: "older layout",
        is: |path, all| path.starts_with("layout/") && number(path) < newest(all, "layout/"),
        changed: (Stops, GoesOn),
        deleted: (GoesOn, GoesOn),
    },
    Kind {
        name: "newest mark",
        is: |path, all| path.starts_with("positions/") && is_newest_of_folder(path, all),
        changed: (Stops, Stops),
        deleted: (GoesOn, GoesOn),
    },
    Kind {
        name: "older mark",
        is: |path, all| path.starts_with("positions/") && !is_newest_of_folder(path, all),
        changed: (Stops, GoesOn),
        deleted: (GoesOn, GoesOn),
    },
    Kind {
        // They go in the course of things, and nothing tells of one that went otherwise. Its change stays in the log.
        name: "dead letter",
        is: |path, _| path.starts_with("dead-letters/"),
        changed: (Stops, Stops),
        deleted: (GoesOn, GoesOn),
    },
    Kind {
        // What was asked and is gone is asked again.
        name: "request",
        is: |path, _| path.starts_with("requests/"),
        changed: (Stops, Stops),
        deleted: (GoesOn, GoesOn),
    },
    Kind {
        // Its name says all.
        name: "retired writer",
        is: |path, _| path.starts_with("retired/"),
        changed: (Stops, GoesOn),
        deleted: (GoesOn, GoesOn),
    },
    Kind {
        name: "keys",
        is: |path, _| path.starts_with("keys/"),
        changed: (Stops, Stops),
        deleted: (Stops, Stops),
    },
    Kind {
        name: "lock",
        is: |path, _| path == "run.lock",
        changed: (GoesOn, GoesOn),
        deleted: (GoesOn, GoesOn),
    },
];

fn is_segment(path: &str, folder: &str) -> bool {
    path.starts_with("data/") && path.contains(folder)
}

fn is_folded(path: &str) -> bool {
    path.rsplit('/').next().unwrap().split('-').any(|part| part.starts_with('L'))
}

/// Whether the newest volume is the object, or has changes in it.
fn is_live(path: &str, all: &BTreeSet<String>) -> bool {
    let last = folded(all);
    let volumes = all.iter().filter(|path| path.starts_with("volumes/"));
    let newest =
        volumes.max_by_key(|path| (path.contains(&format!("-{last:012}-")), (*path).clone())).unwrap();
    let (_, made) = newest.split_once("-L").unwrap();
    let (layout, writer) = made.split_once('-').unwrap();
    path.contains(&format!("-L{layout}-")) && path.contains(writer)
}

fn number(path: &str) -> u64 {
    path.rsplit('/').next().unwrap().parse().unwrap()
}

fn newest(all: &BTreeSet<String>, folder: &str) -> u64 {
    all.iter().filter(|path| path.starts_with(folder)).map(|path| number(path)).max().unwrap_or(0)
}

/// The last commit that a volume has.
fn folded(all: &BTreeSet<String>) -> u64 {
    let volumes = all.iter().filter_map(|path| path.strip_prefix("volumes/"));
    volumes.map(|name| name.split('-').nth(1).unwrap().parse().unwrap()).max().unwrap_or(0)
}

fn is_newest_of_folder(path: &str, all: &BTreeSet<String>) -> bool {
    let (folder, _) = path.rsplit_once('/').unwrap();
    number(path) == newest(all, folder)
}

const PIPELINE: &str = r#"
name: damaged
source: {type: files, path: ./data, streams: {orders: {key: [id]}, people: {key: [id]}}}
staging: {path: ./staging, fold_after: 1s}
destinations:
  copy: {type: sqlite, path: ./copy.db, write: mirror}
  strict: {type: sqlite, path: ./strict.db, write: mirror, on_error: dead-letter}
"#;
/// A destination that has nothing yet.
const FRESH: &str = "  fresh: {type: sqlite, path: ./fresh.db, write: append}\n";
const STAGING: &str = "staging/damaged";

fn rows(range: std::ops::Range<u32>) -> String {
    range.map(|id| format!("{id},{}\n", id * 10)).collect()
}

/// A staging store that has objects of every kind.
fn with_everything(salt: u64, pipeline: &str) -> Workbench {
    for _ in 0..10 {
        let bench = filled_and_folded(salt, pipeline);
        let all = objects(&bench.path(""));
        // The objects of folded commits stay for some seconds: a machine that is busy may have been too slow.
        if all.iter().any(|path| path.starts_with("log/") && number(path) <= folded(&all)) {
            return bench;
        }
    }
    panic!("ten times, nothing was left of what is folded");
}

fn filled_and_folded(salt: u64, pipeline: &str) -> Workbench {
    // What is folded when is for the steps to say, however long they take.
    let calm = pipeline.replace("fold_after: 1s", "fold_after: 1d");
    let bench = Workbench::with_pipeline(&calm);
    let strict = rusqlite::Connection::open(bench.path("strict.db")).unwrap();
    strict
        .execute_batch(
            "CREATE TABLE people (id INTEGER PRIMARY KEY NOT NULL, age INTEGER CHECK (age < 1000))",
        )
        .unwrap();
    bench.write("data/people.csv", &format!("id,age\n{}", rows(0..5)));
    // More than fits into a commit, first at the beginning and then later.
    bench.write("data/orders.csv", &format!("id,amount,note\n{}", orders(salt, 0..8_000)));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    for id in 200_000..200_004 {
        bench.append("data/orders.csv", &orders(salt, id..id + 1));
        bench.tidemark("run pipeline.yaml --once").succeeds();
    }
    // Folded; and folded again, which leaves doomed objects behind.
    for id in [300_000, 300_010] {
        // As many commits as there are folded ones: those are folded again with them.
        for more in 1..9 {
            bench.append("data/orders.csv", &orders(salt, id + more..id + more + 1));
            bench.tidemark("run pipeline.yaml --once").succeeds();
        }
        bench.write("pipeline.yaml", pipeline);
        let before = newest(&objects(&bench.path("")), "layout/");
        let mut running = bench.start("run pipeline.yaml");
        bench.append("data/orders.csv", &orders(salt, id..id + 1));
        running.until("the log is folded", || newest(&objects(&bench.path("")), "layout/") > before);
        running.terminate().succeeds();
        bench.write("pipeline.yaml", &calm);
    }
    // Not folded any more.
    bench.append("data/orders.csv", &orders(salt, 400_000..408_000));
    bench.append("data/people.csv", "5,20\n6,2000\n");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    bench.append("data/people.csv", "7,70\n8,8000\n");
    bench.tidemark("run pipeline.yaml --once").succeeds();
    bench.append("data/orders.csv", &orders(salt, 600_000..600_002));
    bench.tidemark("run pipeline.yaml --once").succeeds();
    // Nobody runs it: these wait.
    bench.tidemark("resync pipeline.yaml --stream orders").succeeds();
    bench.tidemark("resync pipeline.yaml --stream orders").succeeds();
    bench.write("pipeline.yaml", &format!("{pipeline}{FRESH}"));
    bench
}

/// The objects of the staging store in `bench`.
fn objects(bench: &Path) -> BTreeSet<String> {
    let root = bench.join(STAGING);
    let (mut folders, mut objects) = (vec![root.clone()], BTreeSet::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false => {
                    let path = entry.path();
                    let path = path.strip_prefix(&root).unwrap().to_str().unwrap();
                    // One with a `#` is being written.
                    if !path.contains('#') {
                        objects.insert(path.to_owned());
                    }
                }
            }
        }
    }
    objects
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => _ = fs::copy(entry.path(), to).unwrap(),
        }
    }
}

/// A row of `orders`.
type Row = (Option<i64>, Option<i64>);

/// What the new destination has of the orders up to commit `last`: place in the log, and values.
fn delivered(bench: &Workbench, last: u64) -> BTreeMap<String, Row> {
    let path = bench.path("fresh.db");
    if !path.exists() {
        return BTreeMap::new();
    }
    let fresh = rusqlite::Connection::open(path).unwrap();
    let Ok(mut rows) = fresh.prepare("SELECT _tidemark_position, id, amount FROM orders") else {
        return BTreeMap::new();
    };
    let rows = rows.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?)))).unwrap();
    let rows = rows.map(Result::unwrap);
    // What was asked for is read after those.
    rows.filter(|(position, _): &(String, _)| commit_of(position) <= last).collect()
}

/// The commit in a position: log, commit and ordinal.
fn commit_of(position: &str) -> u64 {
    position.split('-').nth(1).unwrap().parse().unwrap()
}

/// One case of the table.
struct Case {
    kind: &'static Kind,
    object: String,
    damage: Damage,
    /// What it is exchanged with.
    other: PathBuf,
}

fn harm(Case { object, damage, other, .. }: &Case, bench: &Workbench) {
    let path = bench.path(STAGING).join(object);
    let bytes = fs::read(&path).unwrap();
    match damage {
        Damage::Truncated => fs::write(&path, &bytes[..bytes.len() / 2]).unwrap(),
        Damage::Flipped => {
            let mut bytes = bytes;
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(&path, bytes).unwrap();
        }
        Damage::Swapped => {
            let others = fs::read(other).unwrap();
            assert!(others != bytes, "`{object}` is the same as `{}`", other.display());
            fs::write(&path, others).unwrap();
            if other.starts_with(bench.path("")) {
                fs::write(other, bytes).unwrap();
            }
        }
        Damage::Emptied => fs::write(&path, "").unwrap(),
        Damage::Deleted => fs::remove_file(&path).unwrap(),
    }
}

/// What is wrong with how the case went; nothing if it went well.
fn try_case(
    case: &Case,
    whole: &Workbench,
    (last, reference): (u64, &BTreeMap<String, Row>),
) -> Option<String> {
    let bench = Workbench::new();
    copy(&whole.path(""), &bench.path(""));
    let other = match case.other.strip_prefix(whole.path("")) {
        Ok(inside) => bench.path("").join(inside),
        Err(_) => case.other.clone(),
    };
    let case = Case { object: case.object.clone(), other, ..*case };
    harm(&case, &bench);
    let (fsck, run) = if case.damage == Damage::Deleted { case.kind.deleted } else { case.kind.changed };

    let inspected = bench.tidemark("fsck pipeline.yaml");
    if let Some(wrong) = went_otherwise("fsck", &inspected, fsck) {
        return Some(wrong);
    }
    let folder = case.object.rsplit_once('/').map_or(case.object.as_str(), |(folder, _)| folder);
    let is_named = inspected.stdout.contains(&case.object)
        || (case.damage == Damage::Deleted
            && (inspected.stdout.contains(folder) || inspected.stdout.contains("positions/")));
    if fsck == Stops && !is_named {
        return Some(format!("`fsck` does not name it: {}", inspected.stdout));
    }
    let ran = bench.tidemark("run pipeline.yaml --once");
    if let Some(wrong) = went_otherwise("run", &ran, run) {
        return Some(wrong);
    }
    if run == Stops && !ran.stderr.contains("hint:") {
        return Some(format!("`run` does not say what to do: {}", ran.stderr));
    }
    // Where the newest commit is gone, what it held is read again, and stands in another.
    let is_newest = case.kind.name == "newest commit";
    let delivered = delivered(&bench, if is_newest { last - 1 } else { last });
    if let Some((position, _)) =
        delivered.iter().find(|(position, row)| reference.get(*position) != Some(row))
    {
        return Some(format!("`run` delivered something else at {position}"));
    }
    (ran.code() == 0 && delivered.len() != reference.len())
        .then(|| format!("`run` delivered {} of {}", delivered.len(), reference.len()))
}

fn went_otherwise(command: &str, outcome: &Outcome, meets: Meets) -> Option<String> {
    let wanted: &[i32] = match meets {
        Stops => &[3],
        GoesOn => &[0],
        MayHeal => &[0, 3],
    };
    let Outcome { stdout, stderr, .. } = outcome;
    (!wanted.contains(&outcome.code())).then(|| {
        format!("`{command}` ended with {} instead of {wanted:?}:\n{stdout}{stderr}", outcome.code())
    })
}

#[test]
fn whatever_is_damaged_is_found_and_nothing_of_it_is_delivered() {
    damage_everything(PIPELINE, &DAMAGES);
}

/// The same with everything encrypted, under one key in both stores.
#[test]
fn whatever_is_damaged_is_found_when_it_is_encrypted() {
    let key = "c5".repeat(32);
    let encrypted =
        PIPELINE.replace("fold_after: 1s", &format!("fold_after: 1s, encryption: {{key: {key}}}"));
    damage_everything(&encrypted, &[Damage::Flipped, Damage::Swapped, Damage::Deleted]);
}

fn damage_everything(pipeline: &str, damages: &[Damage]) {
    let is_encrypted = pipeline.contains("encryption");
    let kinds = || KINDS.iter().filter(|kind| is_encrypted || kind.name != "keys");
    let (whole, elsewhere) = (with_everything(7, pipeline), with_everything(1 << 40, pipeline));
    let all = objects(&whole.path(""));
    let unknown: Vec<_> = all.iter().filter(|path| !KINDS.iter().any(|kind| (kind.is)(path, &all))).collect();
    assert!(unknown.is_empty(), "the table has no line for {unknown:?}");

    let last = newest(&all, "log/");
    let reference = {
        let bench = Workbench::new();
        copy(&whole.path(""), &bench.path(""));
        let inspected = bench.tidemark("fsck pipeline.yaml").succeeds();
        assert!(inspected.stdout.contains("are whole"), "{}", inspected.stdout);
        bench.tidemark("run pipeline.yaml --once").succeeds();
        delivered(&bench, last)
    };
    assert_eq!(reference.len(), 16_024);

    let mut cases = Vec::new();
    for kind in kinds() {
        let of_kind: Vec<_> = all.iter().filter(|path| (kind.is)(path, &all)).collect();
        let object =
            of_kind.first().unwrap_or_else(|| panic!("there is no {} to damage in {all:#?}", kind.name));
        let like_it = objects(&elsewhere.path("")).into_iter().find(|path| {
            let others = objects(&elsewhere.path(""));
            (kind.is)(path, &others)
        });
        let same = |path: &&&String| {
            let content = |path: &str| fs::read(whole.path(STAGING).join(path)).unwrap();
            content(path) != content(object)
        };
        let other = match of_kind.iter().skip(1).find(same) {
            Some(other) => Some(whole.path(STAGING).join(other)),
            None => like_it.map(|path| elsewhere.path(STAGING).join(path)),
        };
        for &damage in damages {
            // All of these say the same.
            if damage == Damage::Swapped && matches!(kind.name, "retired writer" | "lock") {
                continue;
            }
            let other = other.clone().unwrap();
            cases.push(Case { kind, object: (*object).clone(), damage, other });
        }
    }

    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Some(wrong) = try_case(case, &whole, (last, &reference)) {
                        let (kind, damage) = (case.kind.name, case.damage);
                        failures
                            .lock()
                            .unwrap()
                            .push(format!("{kind} `{}` {damage:?}: {wrong}", case.object));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), cases.len(), failures.join("\n\n"));
}
