//! Where files go: the root that `path` names, and the folders below it that a template makes of each change.
//!
//! `s3://lake/shop/{stream}/day={value.day}` is the root `s3://lake/shop` and the template `{stream}/day={value.day}`: the template
//! begins with the first part that holds a `{`. Without one it is `{stream}`.

use std::path::Path;

use tidemark_engine::{Error, Result};

use super::names;
use crate::{config::Place, object_stores::StoreUrl};

/// What `path` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::files) struct Location {
    pub(super) root: Root,
    pub(super) layout: Layout,
}

/// Where everything is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::files) enum Root {
    /// A folder of this machine, from the pipeline file's.
    Folder(String),
    /// A folder in object storage.
    Objects(StoreUrl),
}

/// The folders below the root, from the outermost in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout(pub(super) Vec<Vec<Piece>>);

/// A piece of a folder's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Itself.
    Text(String),
    /// What `table` makes of the stream's name.
    Stream,
    /// The letter of the change's operation.
    Op,
    /// The day of the change's commit in UTC: `2013-01-05`.
    Date,
    /// The hour of the change's commit in UTC: `09`.
    Hour,
    /// The value of a column.
    Column(String),
}

const KNOWN: &str = "use `{stream}`, `{op}`, `{date}`, `{hour}` or `{value.COLUMN}`";

impl Location {
    /// Reads `path`.
    pub(in crate::files) fn parse(path: &str) -> Result<Self> {
        if path.is_empty() {
            return Err(Error::config("the path is empty").hint("name a folder, such as `./archive`"));
        }
        let (root, template) = split(path);
        let root = match StoreUrl::is_meant(path) {
            true if root.len() > names::MAX_ROOT => {
                return Err(
                    Error::config("the path is too long for object storage").hint("use a shorter folder")
                );
            }
            true => Root::Objects(StoreUrl::parse(root)?),
            false => Root::Folder(root.to_owned()),
        };
        Ok(Self { root, layout: Layout::parse(template)? })
    }

    /// What is written to, comparable.
    pub(in crate::files) fn place(&self, folder: &Path) -> Place {
        match &self.root {
            Root::Folder(root) => Place::path(&folder.join(root)),
            Root::Objects(url) => Place::Objects(url.clone()),
        }
    }

    /// Whether it is in object storage.
    pub(in crate::files) fn is_in_a_cloud(&self) -> bool {
        matches!(self.root, Root::Objects(_))
    }
}

/// The root and the template in `path`.
fn split(path: &str) -> (&str, &str) {
    let Some(brace) = path.find('{') else { return (path, "{stream}") };
    let begin = path[..brace].rfind('/').map_or(0, |slash| slash + 1);
    let (root, template) = path.split_at(begin);
    let root = match root.trim_end_matches('/') {
        "" if !root.is_empty() => "/",
        root => root,
    };
    (root, template.trim_end_matches('/'))
}

impl Layout {
    fn parse(template: &str) -> Result<Self> {
        template.split('/').map(part).collect::<Result<_>>().map(Self)
    }

    /// Whether the changes of one stream may go to different folders.
    pub(super) fn is_partitioned(&self) -> bool {
        self.0.iter().flatten().any(|piece| !matches!(piece, Piece::Text(_) | Piece::Stream))
    }
}

/// The pieces of one folder's name.
fn part(text: &str) -> Result<Vec<Piece>> {
    let unsound = |what: &str, hint: &str| Error::config(format!("`{text}` in the path {what}")).hint(hint);
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or_else(|| unsound("has a `{` without a `}`", KNOWN))?;
        pieces.push(Piece::Text(before.to_owned()));
        pieces.push(match name {
            "stream" => Piece::Stream,
            "op" => Piece::Op,
            "date" => Piece::Date,
            "hour" => Piece::Hour,
            name => match name.strip_prefix("value.").filter(|column| !column.is_empty()) {
                Some(column) => Piece::Column(column.to_owned()),
                None => return Err(unsound("has a placeholder that is not known", KNOWN)),
            },
        });
        rest = after;
    }
    pieces.push(Piece::Text(rest.to_owned()));
    pieces.retain(|piece| !matches!(piece, Piece::Text(text) if text.is_empty()));
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '=');
    let is_sound = |piece: &Piece| !matches!(piece, Piece::Text(text) if !text.chars().all(is_plain));
    if pieces.is_empty() || text.starts_with('.') || !pieces.iter().all(is_sound) {
        let hint = "behind the first placeholder use letters, digits, `_`, `-`, `=` and inner dots";
        return Err(unsound("is no name for a folder", hint));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str) -> (Root, Vec<Vec<Piece>>) {
        let Location { root, layout } = Location::parse(path).unwrap();
        (root, layout.0)
    }

    #[test]
    fn the_template_begins_at_the_first_placeholder() {
        let folder = |path: &str| Root::Folder(path.to_owned());
        let objects = |url: &str| Root::Objects(StoreUrl::parse(url).unwrap());
        let stream = || vec![vec![Piece::Stream]];
        for (path, root) in [
            ("./a/b", folder("./a/b")),
            ("./a/b/{stream}/", folder("./a/b")),
            ("/{stream}", folder("/")),
            ("{stream}", folder("")),
            ("s3://lake", objects("s3://lake")),
            ("gs://lake/a/{stream}", objects("gs://lake/a")),
        ] {
            assert_eq!(read(path), (root, stream()), "{path}");
        }
        let (root, parts) = read("az://lake/a/x-{stream}/day={value.day}/{date}T{hour}/{op}/end");
        assert_eq!(root, objects("az://lake/a"));
        let text = |text: &str| Piece::Text(text.to_owned());
        let expected = vec![
            vec![text("x-"), Piece::Stream],
            vec![text("day="), Piece::Column("day".to_owned())],
            vec![Piece::Date, text("T"), Piece::Hour],
            vec![Piece::Op],
            vec![text("end")],
        ];
        assert_eq!(parts, expected);
        assert!(
            Layout(parts).is_partitioned() && !Location::parse("a/{stream}").unwrap().layout.is_partitioned()
        );
    }

    #[test]
    fn what_is_no_sound_path_is_refused_with_a_way_out() {
        for path in [
            "",
            "a/{day}",
            "a/{value.}",
            "a/{stream",
            "a/{stream}/../b",
            "a/{stream}//b",
            "a/{stream}/.hidden",
            "a/{stream}/a b",
            "a/{stream}/%2F",
            "a/{stream}}",
            "s3://{stream}",
            "s3:/lake/{stream}",
            "ftp://lake/{stream}",
        ] {
            assert!(Location::parse(path).unwrap_err().hint_text().is_some(), "{path}");
        }
    }
}
