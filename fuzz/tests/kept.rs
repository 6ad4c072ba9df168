//! Every input that is kept, played through its target: what once broke a promise does not break it again, without libFuzzer.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::{
    fs,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
};

use tidemark_fuzz::{TARGETS, Target};

/// More bytes than this are too much for a repository.
const MOST_BYTES: u64 = 1 << 20;

#[test]
fn every_kept_input_keeps_the_promise() {
    let broken: Vec<String> = TARGETS
        .iter()
        .flat_map(|target| inputs(target).into_iter().map(move |input| (target, input)))
        .filter(|(target, input)| {
            let bytes = fs::read(input).unwrap();
            panic::catch_unwind(AssertUnwindSafe(|| (target.run)(&bytes))).is_err()
        })
        .map(|(target, input)| format!("{}: {}", target.name, input.display()))
        .collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_target_has_a_corpus_and_nothing_is_kept_of_others() {
    for target in TARGETS {
        let corpus = folder("corpus", target.name);
        assert!(files(&corpus).len() > 1, "{} has no inputs", corpus.display());
        assert!(
            inputs(target).iter().all(|input| fs::metadata(input).unwrap().len() <= target.longest as u64)
        );
    }
    for kept in ["corpus", "regressions"] {
        for found in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(kept)) {
            let name = found.file_name().unwrap().to_str().unwrap().to_owned();
            assert!(tidemark_fuzz::named(&name).is_some(), "`{kept}/{name}` belongs to no target");
        }
    }
}

#[test]
fn the_corpora_stay_small() {
    let inputs = TARGETS.iter().flat_map(inputs);
    let bytes: u64 = inputs.map(|input| fs::metadata(input).unwrap().len()).sum();
    assert!(bytes < MOST_BYTES, "{bytes} bytes");
}

/// The corpus of a target, and its regressions.
fn inputs(target: &Target) -> Vec<PathBuf> {
    let mut inputs = files(&folder("corpus", target.name));
    inputs.extend(files(&folder("regressions", target.name)));
    inputs
}

fn folder(kept: &str, target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(kept).join(target)
}

/// What is in a folder, by name; nothing, where there is none.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}
