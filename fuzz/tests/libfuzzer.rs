//! The targets under libFuzzer, which invents inputs and keeps those that reach new code. `cargo xtask fuzz` builds and runs it.
#![no_main]
#![expect(
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "it talks to the person who runs it"
)]

use std::{cell::Cell, env, panic, process, sync::OnceLock};

use libfuzzer_sys::fuzz_target;
use tidemark_fuzz::{TARGETS, Target};

/// Says which target to run; where it names none, each is told with the bytes that an input may have.
const TARGET: &str = "TIDEMARK_FUZZ_TARGET";

static CHOSEN: OnceLock<&'static Target> = OnceLock::new();

thread_local! {
    /// What the last panic said.
    static SAID: Cell<String> = const { Cell::new(String::new()) };
}

fuzz_target!(init: begin(), |input: &[u8]| play(input));

fn begin() {
    let Some(target) = env::var(TARGET).ok().and_then(|name| tidemark_fuzz::named(&name)) else {
        TARGETS.iter().for_each(|target| println!("{} {}", target.name, target.longest));
        process::exit(0);
    };
    CHOSEN.get_or_init(|| target);
    // libFuzzer's own hook ends the program at every panic; ours lets those pass that the decoders catch.
    panic::set_hook(Box::new(|panic| SAID.set(panic.to_string())));
}

fn play(input: &[u8]) {
    let target = CHOSEN.get().expect("it is chosen before the first input");
    if input.len() <= target.longest && panic::catch_unwind(|| (target.run)(input)).is_err() {
        eprintln!("{}", SAID.take());
        process::abort();
    }
}
