//! What every decoder of Tidemark promises for any input at all: a typed error or what the input says, never a panic, a hang
//! or memory that the input does not account for.
//!
//! A [`Target`] is a function of bytes that panics where a promise is broken. Two programs run them: libFuzzer invents inputs
//! (`cargo xtask fuzz`), and an ordinary test (`tests/kept.rs`) plays every input that is kept. What is kept of a target stands
//! in `corpus/<target>`, and what once broke a promise in `regressions/<target>`, under a name that says what it was.
#![expect(clippy::unwrap_used, reason = "a broken promise is to panic")]

mod log;
mod pipelines;
mod postgres;
mod segments;
mod text_files;

// The program has no library: what reads its pipeline files is built here once more.
#[path = "../../crates/app/src/failure.rs"]
#[expect(dead_code, reason = "the program needs more of it than the target does")]
mod failure;
#[path = "../../crates/app/src/pipeline_file/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the program needs more of it than the target does")]
mod pipeline_file;

/// A promise for any input.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// What it is called.
    pub name: &'static str,
    /// What it promises.
    pub claim: &'static str,
    /// Bytes that an input may have.
    pub longest: usize,
    /// Panics where the promise is broken.
    pub run: fn(&[u8]),
}

const fn target(name: &'static str, longest: usize, run: fn(&[u8]), claim: &'static str) -> Target {
    Target { name, claim, longest, run }
}

/// Every target.
pub const TARGETS: &[Target] = &[
    target(
        "pgoutput",
        4_096,
        postgres::pgoutput,
        "a message is refused, or its changes make a batch as long as they are many",
    ),
    target("copy", 4_096, postgres::copy, "rows are the same wherever the stream is cut"),
    target(
        "postgres-values",
        256,
        postgres::value,
        "a value that is read from text is written so that it is read again",
    ),
    target("parquet", 16_384, segments::parquet, "what is read is written and read again in every format"),
    target("arrow", 16_384, segments::arrow, "what is read is written and read again in every format"),
    target("jsonl", 8_192, segments::jsonl, "what is read is written and read again in every format"),
    target("xml", 16_384, segments::xml, "what is read is written and read again in every format"),
    target(
        "commit",
        16_384,
        log::commit,
        "a sealed commit is refused, or gives its transactions and changes",
    ),
    target(
        "volume",
        16_384,
        log::volume,
        "a sealed volume is refused, or gives commits with the numbers that it says",
    ),
    target(
        "layout",
        8_192,
        log::layout,
        "a sealed layout is refused, or answers and says the same when written again",
    ),
    target(
        "document",
        4_096,
        log::document,
        "a small document is refused, or says the same when written again",
    ),
    target("encrypted", 1_024, log::encrypted, "nothing that was not encrypted by a key opens under it"),
    target(
        "pipeline-file",
        8_192,
        pipelines::read,
        "a pipeline file is sound, or each problem is shown where it is",
    ),
    target(
        "csv",
        4_096,
        text_files::csv,
        "records are the same wherever the input is cut, and values keep their digits",
    ),
    target(
        "json-lines",
        4_096,
        text_files::json_lines,
        "records are the same wherever the input is cut, and values keep their digits",
    ),
    target(
        "file-values",
        256,
        text_files::value,
        "a value that is read from text is written so that it is read again",
    ),
];

/// The target called `name`.
pub fn named(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
