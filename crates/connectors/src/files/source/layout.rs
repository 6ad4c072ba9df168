//! Which streams the pipeline file asks for, and which files are theirs.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use globset::{GlobBuilder, GlobMatcher};
use tidemark_engine::{Error, Result};

use super::{
    super::{ChangesConfig, OnRewrite, SourceConfig, SourceFormat, StreamConfig, Streams},
    folder::Found,
    name::FileName,
};
use crate::records::Outline;

/// One stream, its files and how they are read.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    pub(super) outline: Outline,
    files: Files,
    format: Option<SourceFormat>,
    pub(super) delimiter: u8,
    pub(super) null_values: Arc<Vec<String>>,
    pub(super) on_rewrite: OnRewrite,
    /// How its files are compared as a whole; `None`: they grow.
    pub(super) compared: Option<Compared>,
}

/// How the files of a stream are compared as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Compared {
    /// Columns whose change is none.
    pub(super) ignored: Vec<String>,
    /// The share of all records, in percent, that may be gone.
    pub(super) max_deletes: u8,
    /// How long nobody may have written to the files.
    pub(super) at_rest: Duration,
}

/// Half an export should not be taken for the whole one.
const AT_REST: Duration = Duration::from_secs(10);
const MAX_DELETES: u8 = 20;

#[derive(Debug, Clone)]
enum Files {
    /// Those of the folder with this stem.
    Stem(String),
    Glob(GlobMatcher),
}

/// Every stream, or the rule that makes them.
#[derive(Debug)]
pub(super) struct Layout {
    rule: Rule,
    /// Whether files in sub-folders count.
    pub(super) deep: bool,
    null_values: Arc<Vec<String>>,
}

#[derive(Debug)]
enum Rule {
    Listed(Vec<Arc<Stream>>),
    /// A stream for each stem of the folder's files that matches one of these globs.
    Stems(Vec<GlobMatcher>),
}

impl Layout {
    /// From the pipeline file, which has been validated; fails at the first thing that is unsound.
    pub(super) fn new(config: &SourceConfig) -> Result<Self> {
        let null_values = Arc::new(config.null_values.clone());
        let rule = match &config.streams {
            None => Rule::Stems(vec![glob("*")?]),
            Some(Streams::Names(names)) => {
                Rule::Stems(names.iter().map(|name| glob(name)).collect::<Result<_>>()?)
            }
            Some(Streams::Map(streams)) => {
                let streams = streams
                    .iter()
                    .map(|(name, config)| Stream::configured(name, config, &null_values).map(Arc::new));
                Rule::Listed(streams.collect::<Result<_>>()?)
            }
        };
        let deep = match &rule {
            Rule::Stems(_) => false,
            Rule::Listed(streams) => streams.iter().any(|stream| match &stream.files {
                Files::Stem(_) => false,
                Files::Glob(glob) => glob.glob().glob().contains('/') || glob.glob().glob().contains("**"),
            }),
        };
        Ok(Self { rule, deep, null_values })
    }

    /// The streams that are listed by name, or that `found` files make.
    pub(super) fn streams(&self, found: &[Found]) -> Vec<Arc<Stream>> {
        match &self.rule {
            Rule::Listed(streams) => streams.clone(),
            Rule::Stems(globs) => {
                let stems = found.iter().filter_map(|file| FileName::parse(&file.path)).map(|name| name.stem);
                let stems = stems.filter(|stem| globs.iter().any(|glob| glob.is_match(stem)));
                let stems = stems.collect::<BTreeSet<_>>();
                stems.into_iter().map(|stem| Arc::new(Stream::of_stem(stem, &self.null_values))).collect()
            }
        }
    }

    /// How many streams are compared as a whole.
    pub(super) fn compared(&self) -> usize {
        match &self.rule {
            Rule::Listed(streams) => streams.iter().filter(|stream| stream.compared.is_some()).count(),
            Rule::Stems(_) => 0,
        }
    }

    /// The names and globs that no stream of `streams` matches.
    pub(super) fn unmatched(&self, streams: &[Arc<Stream>]) -> Vec<String> {
        match &self.rule {
            Rule::Listed(_) => Vec::new(),
            Rule::Stems(globs) => {
                let unmatched = globs
                    .iter()
                    .filter(|glob| !streams.iter().any(|stream| glob.is_match(stream.outline.name.as_str())));
                unmatched.map(|glob| glob.glob().glob().to_owned()).collect()
            }
        }
    }
}

impl Stream {
    pub(super) fn of_stem(stem: &str, null_values: &Arc<Vec<String>>) -> Self {
        Self {
            outline: Outline::new(stem),
            files: Files::Stem(stem.to_owned()),
            format: None,
            delimiter: b',',
            null_values: null_values.clone(),
            on_rewrite: OnRewrite::Stop,
            compared: None,
        }
    }

    fn configured(name: &str, config: &StreamConfig, null_values: &Arc<Vec<String>>) -> Result<Self> {
        let pattern = config.files.clone().unwrap_or_else(|| format!("{}.*", globset::escape(name)));
        let delimiter = u8::try_from(config.delimiter.unwrap_or(','))
            .map_err(|_| Error::config("a delimiter must be an ASCII character"))?;
        let by_key = if config.key.is_empty() { OnRewrite::Stop } else { OnRewrite::Reread };
        Ok(Self {
            outline: Outline::configured(name, &config.key, &config.exclude, &config.types)?,
            files: Files::Glob(glob(&pattern)?),
            format: config.format,
            delimiter,
            null_values: null_values.clone(),
            on_rewrite: config.on_rewrite.unwrap_or(by_key),
            compared: (config.changes == ChangesConfig::FullRefresh).then(|| Compared {
                ignored: config.ignore.clone(),
                max_deletes: config.max_deletes.unwrap_or(MAX_DELETES),
                at_rest: config.at_rest.map_or(AT_REST, |rest| rest.0),
            }),
        })
    }

    /// Whether `file` is one of its files.
    pub(super) fn owns(&self, file: &Found) -> bool {
        match &self.files {
            Files::Stem(stem) => FileName::parse(&file.path).is_some_and(|name| name.stem == stem),
            Files::Glob(glob) => glob.is_match(&file.path),
        }
    }

    /// The pattern of its files, for messages.
    pub(super) fn pattern(&self) -> String {
        match &self.files {
            Files::Stem(stem) => format!("{stem}.*"),
            Files::Glob(glob) => glob.glob().glob().to_owned(),
        }
    }

    /// The format of `path`, by the pipeline file or else by its extension.
    pub(super) fn format(&self, path: &str) -> Result<SourceFormat> {
        self.format.or_else(|| FileName::parse(path).map(|name| name.format)).ok_or_else(|| {
            Error::config(format!("the format of `{path}` is not known by its extension"))
                .hint(format!("set `format` of stream `{}`, or narrow its `files`", self.outline.name))
        })
    }
}

/// A glob in which `*` stays within one folder.
pub(super) fn glob(pattern: &str) -> Result<GlobMatcher> {
    let glob = GlobBuilder::new(pattern).literal_separator(true).build();
    let glob = glob.map_err(|error| Error::config(format!("`{pattern}` is no glob")).source(error))?;
    Ok(glob.compile_matcher())
}
