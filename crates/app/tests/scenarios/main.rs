//! Scenarios: the real binary on real files, from the outside, as a person or a script sees it.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]
#![expect(clippy::print_stderr, reason = "a failing test says where to look")]
#![expect(
    clippy::disallowed_methods,
    reason = "the binary runs in real time, and so does whoever waits for it"
)]

mod azure_table;
mod clock;
mod damaged;
mod disk;
mod encryption;
mod exports;
mod fan_out;
mod flights;
mod flushed;
mod formats;
mod full_destinations;
mod growth;
mod help;
mod http;
mod inspection;
mod lake;
mod messages;
mod modes;
mod mqtt;
mod outside;
mod paused;
mod pipeline_file;
mod postgres;
mod presets;
mod process;
mod queries;
mod rereading;
mod retention;
mod rows;
mod running;
mod samples;
mod staging;
mod starter;
mod stores;
mod transforms;
mod triggers;
mod troubled_disk;
mod webhook;
mod workbench;
