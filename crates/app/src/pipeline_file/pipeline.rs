//! What a pipeline file means, with every default filled in.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tidemark_connectors::{
    config::{DestinationConfig, Home, Secret, SourceConfig, Writing},
    object_stores::StoreUrl,
};
use tidemark_engine::{
    Error, Result,
    change::Reshape,
    codec::Format,
    log::Retention,
    write::{OnError, OnTruncate, Plan, SchemaPolicy},
};
use tidemark_transforms::{Example, Place, Problem, Shown, Step, Transforms};

use super::{closest, did_you_mean, origin::Origin, trigger::Trigger};

/// A sound pipeline.
#[derive(Debug, Clone)]
pub(crate) struct Pipeline {
    /// The name of its log.
    pub(crate) name: String,
    /// Where it lives: what its source and destinations know of it.
    pub(crate) home: Home,
    /// What it reads.
    pub(crate) source: SourceConfig,
    /// Where its log is.
    pub(crate) staging: Staging,
    /// When it reads.
    pub(crate) trigger: Trigger,
    /// What is done to changes before they are staged.
    pub(crate) transforms: Option<Arc<Transforms>>,
    /// What it writes to, by name.
    pub(crate) destinations: Vec<Destination>,
    /// What its transforms are held to.
    pub(crate) tests: Vec<Test>,
    /// The file it was read from.
    pub(crate) origin: Origin,
}

/// Where the log is, and how it is filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Staging {
    pub(crate) place: StagingPlace,
    pub(crate) format: Format,
    /// How long a change may wait for others before it is committed.
    pub(crate) max_delay: Duration,
    /// How long changes may stay in commits before they are folded into files of `format`.
    pub(crate) fold_after: Duration,
    /// Bytes that changes may take on their way into the log.
    pub(crate) memory: u64,
    /// How much of the past is kept.
    pub(crate) retention: Retention,
    /// What it is encrypted with.
    pub(crate) encryption: Option<Encryption>,
}

/// Where the keys of a log are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Encryption {
    pub(crate) key: KeySource,
    /// Those before it.
    pub(crate) previous: Vec<KeySource>,
}

/// Where a key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeySource {
    /// In the pipeline file, or in a variable that it names.
    Typed(Secret),
    /// In a file; a relative path begins at the working folder.
    File(PathBuf),
    /// A program prints it. The program and its arguments.
    Command(Vec<String>),
}

/// What holds the logs of pipelines, a folder for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StagingPlace {
    /// A folder of this machine; a relative one begins at the working folder.
    Folder(PathBuf),
    /// A bucket of a cloud, or a folder in it.
    Objects(StoreUrl),
}

/// What transforms are to make of one change.
#[derive(Debug, Clone)]
pub(crate) struct Test {
    pub(crate) name: String,
    pub(crate) example: Example,
    /// The destination on whose way it is; `None` before staging.
    pub(crate) through: Option<String>,
    pub(crate) expected: Expected,
}

/// What is to come of a change.
#[derive(Debug, Clone)]
pub(crate) enum Expected {
    Changes(Vec<Shown>),
    /// An error that holds these words.
    Error(String),
}

/// One destination.
#[derive(Debug, Clone)]
pub(crate) struct Destination {
    /// How to write, whatever the system; its name is in here.
    pub(crate) writing: Writing,
    /// What it does when a stream's schema changes at the source.
    pub(crate) schema_change: SchemaPolicy,
    /// What it does with a change that it cannot take.
    pub(crate) on_error: OnError,
    /// What it does when a stream is truncated at the source.
    pub(crate) on_truncate: OnTruncate,
    /// What is done to changes on their way to it.
    pub(crate) transforms: Option<Arc<Transforms>>,
    /// The same as it is typed.
    pub(crate) steps: Vec<Step>,
    /// Whether `run` writes to it; otherwise only `replay` does.
    pub(crate) live: bool,
    /// The system.
    pub(crate) system: DestinationConfig,
}

impl Pipeline {
    /// The destination that is called `name`.
    pub(crate) fn destination(&self, name: &str) -> Result<&Destination> {
        let names = self.destinations.iter().map(|it| it.writing.destination.as_str()).collect::<Vec<_>>();
        let found = self.destinations.iter().find(|it| it.writing.destination == name);
        found.ok_or_else(|| {
            let hint = match closest(name, &names) {
                Some(closest) => did_you_mean(closest),
                None => format!("choose from: {}", names.join(", ")),
            };
            Error::config(format!("the pipeline has no destination `{name}`")).hint(hint)
        })
    }
}

impl Destination {
    /// What is done to changes on their way to it, of those alone that `condition` is true of where there is one.
    pub(crate) fn reshape(&self, condition: Option<&str>) -> Result<Option<Arc<dyn Reshape>>> {
        let Some(condition) = condition else { return Ok(self.plan().reshape) };
        let filter = Step { filter: Some(condition.to_owned()), ..Step::default() };
        let steps: Vec<_> = std::iter::once(filter).chain(self.steps.iter().cloned()).collect();
        let unread = |problems: Vec<Problem>| {
            let problem = problems.into_iter().next();
            let (message, hint) = problem.map_or_else(Default::default, |it| (it.message, it.hint));
            let error = Error::config(format!("`--where` cannot be understood: {message}"));
            hint.into_iter().fold(error, Error::hint)
        };
        let transforms = Transforms::new(&steps, self.place()).map_err(unread)?;
        Ok(Some(Arc::new(transforms)))
    }

    /// Where its transforms stand.
    fn place(&self) -> Place {
        Place::Destination { mode: self.writing.mode, dead_letters: self.on_error == OnError::DeadLetter }
    }

    /// How everything is played to it from the beginning.
    pub(crate) fn plan(&self) -> Plan {
        let Self { writing, schema_change, on_error, on_truncate, .. } = self;
        let (schema_change, on_error, on_truncate) = (*schema_change, *on_error, *on_truncate);
        let reshape = self.transforms.clone().map(|transforms| transforms as Arc<dyn Reshape>);
        Plan { schema_change, on_error, on_truncate, reshape, ..Plan::new(writing.mode) }
    }
}
