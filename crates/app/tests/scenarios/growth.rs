//! Files that grow as real ones do: a piece at a time, which may end in the middle of a line.

use std::{
    env, fs,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{rows::files_below, samples::example, workbench::Workbench};

/// Random numbers from a seed (SplitMix64).
pub(crate) struct Chance(u64);

/// What is still to be added to each file.
pub(crate) struct Growth {
    files: Vec<(String, String)>,
}

impl Chance {
    /// From the seed in `TIDEMARK_SEED`, or from a new one; a failing test shows which.
    pub(crate) fn from_the_environment() -> Self {
        let given = env::var("TIDEMARK_SEED").ok().map(|seed| seed.parse().unwrap());
        let seed = given.unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs());
        eprintln!("To see this again: TIDEMARK_SEED={seed}");
        Self(seed)
    }

    /// From `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

impl Growth {
    /// The flights of `examples/flights`, none of them there yet.
    pub(crate) fn of_the_flights_example() -> Self {
        let files = files_below(&example("data"), "csv").into_iter().filter_map(|file| {
            let name = file.file_name()?.to_str()?.to_owned();
            name.starts_with("flights").then(|| (name, fs::read_to_string(file).unwrap()))
        });
        Self { files: files.collect() }
    }

    /// Adds a piece to one of the files.
    pub(crate) fn add_some(&mut self, bench: &Workbench, chance: &mut Chance) {
        let file = chance.below(self.files.len() as u64) as usize;
        self.add(bench, file, chance.below(12_000) as usize);
    }

    /// Adds all that is left.
    pub(crate) fn add_the_rest(&mut self, bench: &Workbench) {
        for file in 0..self.files.len() {
            self.add(bench, file, usize::MAX);
        }
    }

    fn add(&mut self, bench: &Workbench, file: usize, bytes: usize) {
        let (name, left) = &mut self.files[file];
        let later = left.split_off(bytes.min(left.len()));
        bench.append(&format!("data/{name}"), left);
        *left = later;
    }
}
