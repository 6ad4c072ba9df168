//! What `--help` says. After a change on purpose: `INSTA_UPDATE=always cargo test -p tidemark help`.

use crate::workbench::Workbench;

fn help(arguments: &str) -> String {
    let ended = Workbench::new().tidemark(arguments);
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""));
    // Clap leaves spaces at the end of lines that separate paragraphs.
    ended.stdout.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

#[test]
fn tidemark() {
    insta::assert_snapshot!(help("--help"));
}

#[test]
fn tidemark_in_short() {
    insta::assert_snapshot!(help("-h"));
}

#[test]
fn init() {
    insta::assert_snapshot!(help("init --help"));
}

#[test]
fn check() {
    insta::assert_snapshot!(help("check --help"));
}

#[test]
fn discover() {
    insta::assert_snapshot!(help("discover --help"));
}

#[test]
fn fsck() {
    insta::assert_snapshot!(help("fsck --help"));
}

#[test]
fn run() {
    insta::assert_snapshot!(help("run --help"));
}

#[test]
fn status() {
    insta::assert_snapshot!(help("status --help"));
}

#[test]
fn changes() {
    insta::assert_snapshot!(help("changes --help"));
}

#[test]
fn replay() {
    insta::assert_snapshot!(help("replay --help"));
}

#[test]
fn dead_letters() {
    insta::assert_snapshot!(help("dead-letters --help"));
}

#[test]
fn verify() {
    insta::assert_snapshot!(help("verify --help"));
}

#[test]
fn schema() {
    insta::assert_snapshot!(help("schema --help"));
}

#[test]
fn a_wrong_command_line_exits_with_2() {
    let bench = Workbench::new();
    for arguments in ["", "chekc", "check", "check --no-such-flag x", "--log-level ,=, schema"] {
        let ended = bench.tidemark(arguments);
        assert_eq!((ended.code(), ended.stdout.as_str()), (2, ""), "{arguments}: {ended:?}");
    }
}

#[test]
fn teardown() {
    insta::assert_snapshot!(help("teardown --help"));
}

#[test]
fn trigger() {
    insta::assert_snapshot!(help("trigger --help"));
}

#[test]
fn resync() {
    insta::assert_snapshot!(help("resync --help"));
}

#[test]
fn pause() {
    insta::assert_snapshot!(help("pause --help"));
}

#[test]
fn resume() {
    insta::assert_snapshot!(help("resume --help"));
}
