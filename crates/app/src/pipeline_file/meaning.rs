//! From what was typed to what it means, with every problem that a schema cannot express.

mod tests;
mod transforms;
mod trigger;

use std::{collections::BTreeMap, path::Path, time::Duration};

use tidemark_connectors::{
    config::{self, Home, NamedStreams, Place, SourceConfig, TableName, Writing},
    object_stores::StoreUrl,
};
use tidemark_engine::{
    codec::Format,
    log::{MasterKey, Retention},
    schema::StreamName,
    write::{OnError, OnTruncate, SchemaPolicy, WriteMode},
};

use super::{
    document::{self, DEFAULT_URL, Document, PreviousKey, Slow, StagingFormat, StagingKeys, Write},
    origin::Origin,
    pipeline::{Destination, Encryption, KeySource, Pipeline, Staging, StagingPlace},
    problem::{Problem, Step},
    tree::{Node, Value},
};

/// Reads the meaning out of a document whose structure is sound. The pipeline is only sound if no problem was added.
pub(super) fn interpret(document: Document, origin: Origin, problems: &mut Vec<Problem>) -> Pipeline {
    let mut findings = Findings { origin: &origin, problems };
    let Document { name, source, staging, trigger, transforms, destinations, tests } = document;
    let folder = origin.file.folder().to_owned();

    findings.connector(&["source"], source.validate());
    let mut staging = findings.staging(staging, &folder);
    let trigger = findings.trigger(trigger);
    let transforms = findings.transforms(&[], &transforms, tidemark_transforms::Place::Staging);
    let destinations: Vec<_> =
        destinations.into_iter().map(|(name, typed)| findings.destination(name, typed)).collect();
    let tests = findings.tests(tests, &destinations);
    findings.shared_places(&folder, &source, &staging, &destinations);
    findings.streams_that_do_not_fit(&source, &destinations);
    for Destination { writing, live, .. } in &destinations {
        let Retention { live: written, others, .. } = &mut staging.retention;
        if *live { written } else { others }.push(writing.destination.clone());
    }
    let home = Home { folder, pipeline: name.0.clone() };
    Pipeline { name: name.0, home, source, staging, trigger, transforms, destinations, tests, origin }
}

/// The way to the value at `path`, where a number is an index if a list stands there.
fn steps(root: &Node, path: &[&str]) -> Vec<Step> {
    let mut node = Some(root);
    let step = |step: &&str| match node.map(|node| &node.value) {
        Some(Value::List(items)) => {
            let index = step.parse().unwrap_or(usize::MAX);
            node = items.get(index);
            Step::Index(index)
        }
        Some(Value::Map(_)) => {
            node = node.and_then(|node| node.get(step)).map(|entry| &entry.value);
            Step::Key((*step).to_owned())
        }
        Some(Value::Scalar(_)) | None => Step::Key((*step).to_owned()),
    };
    path.iter().map(step).collect()
}

/// Collects problems and finds where they stand.
struct Findings<'f> {
    origin: &'f Origin,
    problems: &'f mut Vec<Problem>,
}

impl Findings<'_> {
    /// Adds a problem of the value at `path`.
    fn add(&mut self, path: &[&str], message: &str, hint: Option<&str>) {
        let at = self.origin.root.locate(path.iter().copied());
        let problem = Problem::new(at, &steps(&self.origin.root, path), self.origin.hide(message));
        self.problems.push(Problem { hint: hint.map(|hint| self.origin.hide(hint)), ..problem });
    }

    /// Adds what a connector found in its part of the file, which stands at `part`.
    fn connector(&mut self, part: &[&str], found: Vec<config::Problem>) {
        for problem in found {
            let below = problem.path.iter().map(String::as_str);
            let path: Vec<_> = part.iter().copied().chain(below).collect();
            self.add(&path, &problem.message, problem.hint.as_deref());
        }
    }

    fn staging(&mut self, typed: document::Staging, folder: &Path) -> Staging {
        let keys = match typed {
            document::Staging::Url(url) => StagingKeys { url: Some(url), ..StagingKeys::default() },
            document::Staging::Keys(keys) => *keys,
        };
        let place = self.staging_place(keys.url, keys.path, folder);
        if keys.memory.0 < 1 << 20 {
            self.add(&["staging", "memory"], "`memory` of `staging` must be at least `1MiB`", None);
        }
        let max_delay = match (keys.max_delay, &place) {
            (Some(given), _) => given.0,
            (None, StagingPlace::Folder(_)) => Duration::ZERO,
            (None, StagingPlace::Objects(_)) => Duration::from_millis(500),
        };
        Staging {
            place,
            format: match keys.format {
                StagingFormat::Parquet => Format::Parquet,
                StagingFormat::Jsonl => Format::Jsonl,
                StagingFormat::Xml => Format::Xml,
                StagingFormat::Arrow => Format::Arrow,
            },
            max_delay,
            fold_after: keys.fold_after.0,
            memory: keys.memory.0,
            retention: Retention {
                age: keys.retention.age.map(|age| age.0),
                size: keys.retention.size.map(|size| size.0),
                expires_slow: keys.retention.slow == Slow::Expire,
                // The destinations are added when they are known.
                ..Retention::default()
            },
            encryption: keys.encryption.and_then(|typed| self.encryption(typed, folder)),
        }
    }

    /// `None` where no key is given; then there is a problem as well.
    fn encryption(&mut self, typed: document::Encryption, folder: &Path) -> Option<Encryption> {
        let document::Encryption { key, key_file, key_command, previous } = typed;
        let current =
            self.key(&["staging", "encryption"], PreviousKey { key, key_file, key_command }, folder);
        let mut before = Vec::new();
        for (index, typed) in previous.into_iter().enumerate() {
            let path = ["staging", "encryption", "previous", &index.to_string()];
            before.extend(self.key(&path, typed, folder));
        }
        Some(Encryption { key: current?, previous: before })
    }

    /// The one form in which the key at `path` is given.
    fn key(&mut self, path: &[&str], typed: PreviousKey, folder: &Path) -> Option<KeySource> {
        let PreviousKey { key, key_file, key_command } = typed;
        let forms = [
            ("key", key.map(KeySource::Typed)),
            ("key_file", key_file.map(|path| KeySource::File(folder.join(path)))),
            ("key_command", key_command.map(KeySource::Command)),
        ];
        let mut given: Vec<_> = forms.into_iter().filter_map(|(form, key)| Some((form, key?))).collect();
        let hint = "give one of `key`, `key_file` and `key_command`";
        if let [(one, _), (other, _), ..] = given.as_slice() {
            let message = format!("`{one}` and `{other}` are given for one key");
            self.add(path, &message, Some(hint));
            return None;
        }
        let Some((form, source)) = given.pop() else {
            self.add(path, "there is no key here", Some(hint));
            return None;
        };
        let path: Vec<_> = path.iter().copied().chain([form]).collect();
        match &source {
            KeySource::Typed(key) => {
                if let Err(error) = MasterKey::parse(key.expose()) {
                    self.add(&path, error.message(), error.hint_text());
                }
            }
            KeySource::Command(command) if command.first().is_none_or(String::is_empty) => {
                self.add(&path, "`key_command` names no program", Some("write [program, argument]"));
            }
            KeySource::File(_) | KeySource::Command(_) => {}
        }
        Some(source)
    }

    fn staging_place(&mut self, url: Option<String>, path: Option<String>, folder: &Path) -> StagingPlace {
        if let (Some(_), Some(_)) = (&url, &path) {
            let hint = "keep `url`: `path` is its former name";
            self.add(&["staging", "path"], "`staging` has both a `url` and a `path`", Some(hint));
        }
        let key = if url.is_none() && path.is_some() { "path" } else { "url" };
        let text = url.or(path).unwrap_or_else(|| DEFAULT_URL.to_owned());
        if text.is_empty() {
            let hint = "name a folder, such as `./staging`";
            self.add(&["staging", key], &format!("`{key}` of `staging` is empty"), Some(hint));
        }
        if !StoreUrl::is_meant(&text) {
            return StagingPlace::Folder(folder.join(text));
        }
        match StoreUrl::parse(&text) {
            Ok(url) => StagingPlace::Objects(url),
            Err(error) => {
                let message = format!("`{key}` of `staging` cannot be read: {error}");
                self.add(&["staging", key], &message, error.hint_text());
                StagingPlace::Folder(folder.join(DEFAULT_URL))
            }
        }
    }

    fn destination(&mut self, name: String, typed: document::Destination) -> Destination {
        let document::Destination {
            write,
            table,
            adopt,
            schema_change,
            on_error,
            on_truncate,
            live,
            transforms: steps,
            system,
        } = typed;
        let part = ["destinations", name.as_str()];
        let table = TableName::parse(&table).unwrap_or_else(|problem| {
            self.connector(&part, vec![problem]);
            TableName::default()
        });
        let mode = match write {
            Write::Append => WriteMode::Append,
            Write::Mirror => WriteMode::Mirror,
            Write::SoftDelete => WriteMode::SoftDelete,
            Write::History => WriteMode::History,
            Write::Replace => WriteMode::Replace,
        };
        let on_error = match on_error {
            document::OnError::Stop => OnError::Stop,
            document::OnError::DeadLetter => OnError::DeadLetter,
        };
        let on_truncate = match on_truncate {
            document::OnTruncate::Apply => OnTruncate::Apply,
            document::OnTruncate::Ignore => OnTruncate::Ignore,
            document::OnTruncate::Stop => OnTruncate::Stop,
        };
        let schema_change = match schema_change {
            document::SchemaChange::Evolve => SchemaPolicy::Evolve,
            document::SchemaChange::Ignore => SchemaPolicy::Ignore,
            document::SchemaChange::Fail => SchemaPolicy::Fail,
        };
        let writing = Writing { destination: name.clone(), mode, table, adopt, shadow: false };
        self.connector(&part, system.validate(&writing));
        let place =
            tidemark_transforms::Place::Destination { mode, dead_letters: on_error == OnError::DeadLetter };
        let transforms = self.transforms(&part, &steps, place);
        Destination { writing, schema_change, on_error, on_truncate, transforms, steps, live, system }
    }

    /// Most modes tell records apart by their key, some take whole generations alone, and a table holds one stream.
    fn streams_that_do_not_fit(&mut self, source: &SourceConfig, destinations: &[Destination]) {
        let streams = source.streams();
        let keyless: Vec<_> = match &streams {
            NamedStreams::Listed(streams) => {
                streams.iter().filter(|(_, has_key)| !has_key).map(|(name, _)| *name).collect()
            }
            NamedStreams::Keyless | NamedStreams::Known => Vec::new(),
        };
        for Destination { writing, .. } in destinations {
            let name = writing.destination.as_str();
            let mode = writing.mode.as_str();
            if writing.mode.needs_key() && (streams == NamedStreams::Keyless || !keyless.is_empty()) {
                let without_key = match keyless.as_slice() {
                    [] => "the streams of `source` have no keys".to_owned(),
                    [stream] => format!("stream `{stream}` has no key"),
                    streams => format!("streams `{}` have no keys", streams.join("`, `")),
                };
                let message = format!("{without_key}, and `{mode}` tells records apart by their key");
                let hint = "give each stream of `source` a `key`, or write with `append`";
                self.add(&["destinations", name, "write"], &message, Some(hint));
            }
            if writing.mode.takes_generations_only() && !source.has_generations() {
                let message = format!(
                    "`source` is never read whole, from beginning to end, and `{mode}` shows what such a reading found"
                );
                let hint = "write with `append`, or with `mirror` where each stream has a `key`";
                self.add(&["destinations", name, "write"], &message, Some(hint));
            }
            let one_table =
                writing.table.of(&StreamName::new("a")) == writing.table.of(&StreamName::new("b"));
            let is_single = matches!(&streams, NamedStreams::Listed(streams) if streams.len() == 1);
            if one_table && !is_single {
                let message =
                    format!("all streams of `source` would share one table of destination `{name}`");
                let hint = "write `{stream}` into `table`, which stands for the stream's name";
                self.add(&["destinations", name, "table"], &message, Some(hint));
            }
        }
    }

    /// Two that write to one place would overwrite each other; a source that is written to would never end.
    fn shared_places(
        &mut self,
        folder: &Path,
        source: &SourceConfig,
        staging: &Staging,
        destinations: &[Destination],
    ) {
        let log = match &staging.place {
            StagingPlace::Folder(path) => Place::path(path),
            StagingPlace::Objects(url) => Place::Objects(url.clone()),
        };
        let read = source.place(folder);
        if log == read {
            let hint = "give the staging log a folder of its own";
            self.add(
                &["staging", "url"],
                "the staging log is kept in the folder that `source` reads",
                Some(hint),
            );
        }
        let (mut taken, mut names) = (BTreeMap::new(), BTreeMap::new());
        for Destination { writing, system, .. } in destinations {
            let name = writing.destination.as_str();
            let path = ["destinations", name, "path"];
            if let Some(other) = names.insert(name.to_lowercase(), name) {
                let message = format!("destinations `{other}` and `{name}` differ in case alone");
                let hint = "rename one; not every file system would tell their positions apart";
                self.add(&path[..2], &message, Some(hint));
            }
            let place = system.place(folder);
            if system.system() == source.system() && read.is_written_by(&place) {
                let hint = "give the destination a place of its own";
                self.add(&path, &format!("destination `{name}` writes to what `source` reads"), Some(hint));
            }
            if place == log {
                let hint = "give the destination a place of its own";
                self.add(&path, &format!("destination `{name}` writes into the staging log"), Some(hint));
            }
            let table = writing.table.of(&StreamName::new("{stream}"));
            // Messages of several may go one way: each carries what it is.
            if matches!(place, Place::Service(_)) {
                continue;
            }
            if let Some(other) = taken.insert((system.system(), place, table), name) {
                let message =
                    format!("destinations `{other}` and `{name}` write to the same tables of the same place");
                let hint = format!(
                    "give one of them another `path`, or another `table` such as `\"{name}_{{stream}}\"`"
                );
                self.add(&path, &message, Some(&hint));
            }
        }
    }
}
