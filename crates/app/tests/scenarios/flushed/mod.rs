//! What is staged, and what is written to files, survives a power failure: a witness that is loaded into the program sees what is flushed
//! to the disk, and in which order. It needs the C compiler that the build needs.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::workbench::Workbench;

const PIPELINE: &str = "
name: flushed
source: {type: files, path: ./data, streams: {orders: {key: [id]}}}
staging: ./staging
destinations:
  archive: {type: files, path: ./archive, format: jsonl, write: append}
";

/// More than a commit takes inline: there will be segments.
const ROWS: u32 = 200_000;

/// What the program has done, in order.
enum Call {
    /// The file or folder is on the disk, as it was then.
    Flushed(PathBuf),
    /// A file got another name.
    Named { from: PathBuf, to: PathBuf },
    /// A folder was made.
    Made(PathBuf),
}

#[test]
fn what_gets_a_name_is_flushed_before_and_its_folder_after() {
    let bench = Workbench::with_pipeline(PIPELINE);
    let orders: String = (0..ROWS).map(|id| format!("{id},{}\n", id * 7)).collect();
    bench.write("data/orders.csv", &format!("id,amount\n{orders}"));
    let calls = witnessed(&bench, "run --once pipeline.yaml");

    let mut kinds = BTreeSet::new();
    for (at, call) in calls.iter().enumerate() {
        let path = match call {
            Call::Flushed(_) => continue,
            Call::Made(folder) => folder,
            Call::Named { from, to } => {
                assert!(
                    is_flushed(&calls[..at], from),
                    "`{}` was not on the disk when it got its name",
                    to.display()
                );
                to
            }
        };
        let Ok(within) = path.strip_prefix(bench.path("").canonicalize().unwrap()) else { continue };
        let folder = path.parent().unwrap();
        assert!(is_flushed(&calls[at..], folder), "the name of `{}` may not be on the disk", path.display());
        kinds.extend(
            within
                .components()
                .nth(if within.starts_with("staging") { 2 } else { 0 })
                .map(|part| part.as_os_str().to_owned()),
        );
    }
    for kind in ["archive", "data", "log", "pipeline.json", "schemas"] {
        assert!(kinds.contains(Path::new(kind).as_os_str()), "nothing was seen of {kind}: {kinds:?}");
    }
}

fn is_flushed(calls: &[Call], path: &Path) -> bool {
    calls.iter().any(|call| matches!(call, Call::Flushed(flushed) if flushed == path))
}

/// What `tidemark` does when it runs with `arguments`.
fn witnessed(bench: &Workbench, arguments: &str) -> Vec<Call> {
    let path = |name: &str| bench.path(name).into_os_string().into_string().unwrap();
    bench.write("witness.c", include_str!("witness.c"));
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o", &path("witness.so"), &path("witness.c"), "-ldl"])
        .status();
    assert!(compiled.unwrap().success(), "the witness cannot be compiled");
    let variables = [("LD_PRELOAD", path("witness.so")), ("WITNESS", path("seen"))];
    bench
        .tidemark_with(&variables.each_ref().map(|(name, value)| (*name, value.as_str())), arguments)
        .succeeds();
    let seen = fs::read_to_string(bench.path("seen")).unwrap();
    let call = |line: &str| match line.split('\t').collect::<Vec<_>>()[..] {
        ["flushed", path, _] => Call::Flushed(path.into()),
        ["named", from, to] => Call::Named { from: from.into(), to: to.into() },
        ["made", path, _] => Call::Made(path.into()),
        _ => panic!("the witness has said `{line}`"),
    };
    seen.lines().map(call).collect()
}
