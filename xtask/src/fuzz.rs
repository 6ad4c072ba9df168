//! `cargo xtask fuzz`: libFuzzer invents inputs for the targets in `fuzz/`, guided by which code they reach.
//!
//! Our own crates alone are built to tell what they reach, by a wrapper around the compiler, which is this program once more;
//! the dependencies are those of every other build. What is found on the way is kept in the build folder; what is worth keeping
//! for good is put into `fuzz/corpus` by `--keep`.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    sync::Mutex,
    thread,
};

use crate::{
    Result,
    needs::{self, Need},
    project::Project,
    shell::{command, read},
};

/// Set for the compiler: this program is its wrapper then.
const WRAPS: &str = "TIDEMARK_FUZZ_WRAPS";
/// Says to the program which target to run.
const TARGET: &str = "TIDEMARK_FUZZ_TARGET";

/// What makes code tell what it reaches, as `cargo fuzz run --sanitizer none` has it. Optimized a little, since inputs by the
/// second are what counts, and with every check that a development build has.
const INSTRUMENTED: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    "-Copt-level=1",
    "-Cdebug-assertions=on",
    "-Coverflow-checks=on",
];
/// Crates of ours whose code is worth reaching.
const OURS: [&str; 3] = ["tidemark_engine", "tidemark_connectors", "tidemark_fuzz"];

/// Memory that a target may take, in MiB, and seconds that one input may.
const MEMORY: u32 = 1_024;
const LONGEST: u32 = 10;

/// Seconds for each target where it is one step of many.
const BRIEFLY: u64 = 3;

/// What to do.
#[derive(clap::Args)]
pub(crate) struct Fuzz {
    /// The targets; all, if none is given
    targets: Vec<String>,
    /// Seconds that each target gets
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Targets at once; each takes a processor
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..))]
    at_once: u8,
    /// Begins with these random numbers and with what is kept in the repository alone: the same inputs every time
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    seed: Option<u32>,
    /// Plays this input through the target that is given, and nothing else
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Adds to `fuzz/corpus` the fewest inputs that reach what it does not
    #[arg(long)]
    keep: bool,
}

/// What a target came to.
struct Outcome {
    target: String,
    runs: u64,
    a_second: u64,
    features: u64,
    inputs: usize,
    /// The input that broke the promise, and what the target said.
    broken: Option<(PathBuf, String)>,
}

pub(crate) fn run(project: &Project, install: bool, fuzz: &Fuzz) -> Result {
    needs::meet(project, &[Need::CppCompiler], install, "cargo xtask fuzz")?;
    let program = build(project)?;
    let known = targets(&program)?;
    let names = || known.iter().map(|target| target.name.as_str());
    if let Some(unknown) = fuzz.targets.iter().find(|wanted| !names().any(|name| name == *wanted)) {
        let names: Vec<_> = names().collect();
        return Err(format!("there is no target `{unknown}`; there are: {}", names.join(", ")).into());
    }
    let is_wanted = |target: &Target| fuzz.targets.is_empty() || fuzz.targets.contains(&target.name);
    let targets: Vec<_> = known.into_iter().filter(is_wanted).collect();
    if let Some(input) = &fuzz.input {
        let [target] = targets.as_slice() else {
            return Err("give the one target that the input is for".into());
        };
        return play(project, &program, target, input);
    }
    if fuzz.keep {
        return targets.iter().try_for_each(|target| keep(project, &program, target));
    }
    let waiting = Mutex::new(targets.into_iter().rev().collect::<Vec<_>>());
    let outcomes: Mutex<Vec<std::result::Result<Outcome, String>>> = Mutex::new(Vec::new());
    println!("{:<16} {:>12} {:>10} {:>9} {:>8}", "target", "executions", "a second", "coverage", "inputs");
    thread::scope(|scope| {
        for _ in 0..fuzz.at_once {
            scope.spawn(|| {
                while let Some(target) = next(&waiting) {
                    let outcome = search(project, &program, &target, fuzz).map_err(|error| error.to_string());
                    if let Ok(outcome) = &outcome {
                        println!("{}", outcome.line());
                    }
                    outcomes.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(outcome);
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let outcomes = outcomes.into_iter().collect::<std::result::Result<Vec<_>, _>>()?;
    let broken: Vec<String> = outcomes.iter().filter_map(Outcome::complaint).collect();
    if broken.is_empty() { Ok(()) } else { Err(broken.join("\n").into()) }
}

/// Runs every target for a moment, from what is kept on; what a search of its own would find by luck is not for a test to find.
pub(crate) fn briefly(project: &Project) -> Result {
    each(project, BRIEFLY, Some(1))
}

/// The same for so many seconds.
pub(crate) fn each(project: &Project, seconds: u64, seed: Option<u32>) -> Result {
    run(project, false, &Fuzz { targets: Vec::new(), seconds, at_once: 2, seed, input: None, keep: false })
}

fn next(waiting: &Mutex<Vec<Target>>) -> Option<Target> {
    waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop()
}

/// The wrapper around the compiler, when this is what this program was started as.
pub(crate) fn wrapped_compiler() -> Option<ExitCode> {
    env::var_os(WRAPS)?;
    let mut arguments = env::args_os().skip(1);
    let compiler = arguments.next()?;
    let arguments: Vec<OsString> = arguments.collect();
    let mut command = Command::new(compiler);
    command.args(&arguments);
    let name = arguments.iter().skip_while(|argument| *argument != "--crate-name").nth(1);
    if name.is_some_and(|name| OURS.iter().any(|ours| name == ours)) {
        command.args(INSTRUMENTED);
    }
    let code =
        command.status().ok().and_then(|status| status.code()).and_then(|code| u8::try_from(code).ok());
    Some(ExitCode::from(code.unwrap_or(1)))
}

/// Builds the program that runs the targets, and says where it is.
fn build(project: &Project) -> Result<PathBuf> {
    // Over the whole workspace, as the tests are: then the dependencies have the features that they have there.
    let arguments = [
        "test",
        "--workspace",
        "--features",
        "tidemark-fuzz/libfuzzer",
        "--test",
        "libfuzzer",
        "--no-run",
        "--message-format",
        "json-render-diagnostics",
    ];
    let mut cargo = command("cargo", arguments);
    cargo.current_dir(project.root()).env("RUSTC_WORKSPACE_WRAPPER", env::current_exe()?).env(WRAPS, "1");
    let output = cargo.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err("the targets cannot be built".into());
    }
    let messages = String::from_utf8(output.stdout)?;
    let executable = |line: &str| Some(line.split_once("\"executable\":\"")?.1.split_once('"')?.0.to_owned());
    let executable = messages.lines().filter_map(executable).next_back();
    Ok(executable.ok_or("cargo does not say where the program is")?.into())
}

/// What can be asked to keep a promise.
struct Target {
    name: String,
    /// Bytes that an input may have.
    longest: u32,
}

/// The targets that the program has.
fn targets(program: &Path) -> Result<Vec<Target>> {
    let told = read(Command::new(program).env_remove(TARGET))?;
    let target = |line: &str| {
        let (name, longest) = line.split_once(' ')?;
        Some(Target { name: name.to_owned(), longest: longest.parse().ok()? })
    };
    told.lines()
        .map(target)
        .collect::<Option<_>>()
        .ok_or_else(|| "the program does not say its targets".into())
}

/// The program on `target`.
fn on(program: &Path, target: &Target) -> Command {
    let mut command = Command::new(program);
    command.env(TARGET, &target.name).args([
        format!("-rss_limit_mb={MEMORY}"),
        format!("-timeout={LONGEST}"),
        format!("-max_len={}", target.longest),
    ]);
    command
}

/// Where inputs of `target` are gathered that reach new code.
fn gathered(project: &Project, target: &Target) -> Result<PathBuf> {
    let folder = project.target("fuzz/corpus").join(&target.name);
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// `folder`, with nothing in it.
fn emptied(folder: &Path) -> Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    Ok(folder.to_owned())
}

/// The folders with what is kept of `target`.
fn kept(project: &Project, target: &Target) -> Vec<PathBuf> {
    let folders = ["corpus", "regressions"].map(|kept| project.file("fuzz").join(kept).join(&target.name));
    folders.into_iter().filter(|folder| folder.exists()).collect()
}

fn search(project: &Project, program: &Path, target: &Target, fuzz: &Fuzz) -> Result<Outcome> {
    let gathered = match fuzz.seed {
        Some(_) => emptied(&project.target("fuzz/anew").join(&target.name))?,
        None => gathered(project, target)?,
    };
    let broken = project.target("fuzz/broken").join(&target.name);
    fs::create_dir_all(&broken)?;
    let mut command = on(program, target);
    command
        .args([format!("-max_total_time={}", fuzz.seconds), "-print_final_stats=1".to_owned()])
        .args(fuzz.seed.map(|seed| format!("-seed={seed}")))
        .arg(format!("-artifact_prefix={}/", broken.display()))
        .arg(&gathered)
        .args(kept(project, target));
    let output = command.stdout(Stdio::null()).output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    let number = |name: &str| {
        let line = told.lines().rev().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').trim().parse().ok()
    };
    // `#4711	DONE   cov: 3080 ft: 12345 corp: …`
    let features =
        told.lines().rev().find_map(|line| line.split_once(" ft: ")?.1.split(' ').next()?.parse().ok());
    let input =
        told.lines().find_map(|line| line.split_once("Test unit written to ")).map(|(_, input)| input);
    let reason =
        |line: &&str| line.contains("panicked at") || line.starts_with("==") && line.contains("ERROR");
    let broken = match (output.status.success(), input) {
        (true, _) => None,
        (false, Some(input)) => {
            let reason: Vec<_> = told.lines().skip_while(|line| !reason(line)).take(2).collect();
            Some((PathBuf::from(input.trim()), reason.join(" ")))
        }
        (false, None) => return Err(format!("target `{}` does not run:\n{told}", target.name).into()),
    };
    Ok(Outcome {
        target: target.name.clone(),
        runs: number("stat::number_of_executed_units").unwrap_or_default(),
        a_second: number("stat::average_exec_per_sec").unwrap_or_default(),
        features: features.unwrap_or_default(),
        inputs: fs::read_dir(&gathered)?.count(),
        broken,
    })
}

impl Outcome {
    fn line(&self) -> String {
        let Self { target, runs, a_second, features, inputs, broken } = self;
        let mark = if broken.is_some() { "  BROKEN" } else { "" };
        format!("{target:<16} {runs:>12} {a_second:>10} {features:>9} {inputs:>8}{mark}")
    }

    fn complaint(&self) -> Option<String> {
        let Self { target, broken, .. } = self;
        let (input, reason) = broken.as_ref()?;
        let input = input.display();
        Some(format!(
            "target `{target}` broke its promise on {input}: {reason}\n  again:  cargo xtask fuzz {target} --input {input}"
        ))
    }
}

/// Plays one input, and shows all that the target says.
fn play(project: &Project, program: &Path, target: &Target, input: &Path) -> Result {
    let mut command = on(program, target);
    let status = command.current_dir(project.root()).env("RUST_BACKTRACE", "1").arg(input).status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("target `{}` breaks its promise: {status}", target.name).into())
    }
}

/// Adds to the repository's corpus the fewest of the gathered inputs that reach what it does not. What is there stays, under its name.
fn keep(project: &Project, program: &Path, target: &Target) -> Result {
    let corpus = project.file("fuzz/corpus").join(&target.name);
    let before = fs::read_dir(&corpus)?.count();
    read(on(program, target).arg("-merge=1").args([&corpus, &gathered(project, target)?]))?;
    let inputs = fs::read_dir(&corpus)?.collect::<std::io::Result<Vec<_>>>()?;
    let sizes = inputs.iter().map(|input| Ok(input.metadata()?.len()));
    let bytes: u64 = sizes.sum::<std::io::Result<_>>()?;
    println!("{}: {before} inputs before, {} now, {bytes} bytes", target.name, inputs.len());
    Ok(())
}
