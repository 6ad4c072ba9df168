//! Scenarios: the real binary on real files, from the outside, as a person or a script sees it.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]
#![expect(clippy::print_stderr, reason = "a failing test says where to look")]
#![expect(
    clippy::disallowed_methods,
    reason = "the binary runs in real time, and so does whoever waits for it"
)]

mod clock;
mod damaged;
mod disk;
mod encryption;
mod flights;
mod flushed;
mod formats;
mod full_destinations;
mod growth;
mod help;
mod inspection;
mod modes;
mod outside;
mod pipeline_file;
mod postgres;
mod process;
mod rereading;
mod retention;
mod rows;
mod running;
mod samples;
mod staging;
mod starter;
mod stores;
mod troubled_disk;
mod workbench;
