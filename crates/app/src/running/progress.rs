//! Progress bars on a terminal: one line for the source, one for each destination.

use std::{
    convert::Infallible,
    fmt::Write,
    io::IsTerminal,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use tidemark_engine::{log::Log, world::World, write::Progress};

use crate::digits::grouped;

/// Every bar on the screen. Whoever prints on standard error meanwhile does so through [`MultiProgress::suspend`].
pub(crate) static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

const REDRAW: Duration = Duration::from_millis(100);

/// What can be watched of a run.
pub(crate) struct Watched {
    pub(crate) log: Log,
    /// Changes read from the source; `None` where none is read.
    pub(crate) read: Option<Arc<AtomicU64>>,
    /// How far each destination has come, by its name.
    pub(crate) destinations: Vec<(String, Arc<Progress>)>,
}

/// Draws until dropped; draws nothing where nobody looks.
pub(crate) async fn watch(watched: Watched) -> Infallible {
    if !std::io::stderr().is_terminal() {
        return std::future::pending().await;
    }
    let names = watched.destinations.iter().map(|(name, _)| name.len());
    let width = names.chain(["source".len()]).max().unwrap_or(0);
    let bars = Bars::new(&watched, width);
    let world = World::real();
    loop {
        bars.draw(&watched);
        world.sleep(REDRAW).await;
    }
}

struct Bars {
    source: Option<ProgressBar>,
    destinations: Vec<ProgressBar>,
}

impl Bars {
    fn new(watched: &Watched, width: usize) -> Self {
        let bar = |name: &str, template: &str| {
            let bar = BARS.add(ProgressBar::no_length());
            let template = template.replace("{name}", &format!("{name:width$}"));
            // The templates are constants below: one that does not parse shows as the default bar.
            let style =
                ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.set_style(style.with_key("rate", |state: &ProgressState, out: &mut dyn Write| {
                // Nobody can be told that a bar could not be drawn.
                let _ = out.write_str(&grouped(state.per_sec() as u64));
            }));
            bar
        };
        let source =
            watched.read.as_ref().map(|_| bar("source", "  {name}  {human_pos} changes read, {rate}/s"));
        let destinations = watched.destinations.iter();
        let destinations =
            destinations.map(|(name, _)| bar(name, "  {name}  {bar:30} commit {pos}/{len}  {msg}"));
        Self { source, destinations: destinations.collect() }
    }

    fn draw(&self, watched: &Watched) {
        if let (Some(bar), Some(read)) = (&self.source, &watched.read) {
            bar.set_position(read.load(Ordering::Relaxed));
        }
        let head = watched.log.head().sequence;
        for (bar, (_, progress)) in self.destinations.iter().zip(&watched.destinations) {
            bar.set_length(head);
            bar.set_position(progress.sequence());
            bar.set_message(format!("{} changes written", grouped(progress.rows())));
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        for bar in self.source.iter().chain(&self.destinations) {
            bar.finish_and_clear();
        }
    }
}
