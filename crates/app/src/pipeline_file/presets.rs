//! Presets: what is known of a kind of API already, put beneath what the pipeline file says of its source.
//!
//! A preset has keys for the `source`, for each `stream`, and for `streams` of certain names; what the pipeline file says counts before
//! them. Maps are merged key by key, all else is taken whole.

use std::{fs, path::Path};

use tidemark_connectors::http::PRESETS;

use super::{
    interpolation::Interpolation,
    parse::parse,
    problem::{Problem, Step},
    source_text::SourceText,
    suggestion::{closest, did_you_mean},
    tree::{Entry, Node, Span, Value},
};

/// Puts the preset that the source names, if it does, beneath it. Relative paths of presets begin at `folder`.
pub(super) fn apply(root: &mut Node, folder: &Path, problems: &mut Vec<Problem>) {
    let Some(source) = root.get_mut("source") else { return };
    let Some(at) = source.get("preset").map(|entry| entry.value.at) else { return };
    let Some(name) = source.get("preset").and_then(|entry| entry.value.text().map(str::to_owned)) else {
        return;
    };
    match read(&name, folder, at) {
        Ok(preset) => put_beneath(source, &preset),
        Err((message, hint)) => {
            let path = ["source", "preset"].map(|key| Step::Key(key.to_owned()));
            problems.push(Problem::new(at, &path, message).given(name).hint(hint));
        }
    }
}

fn put_beneath(source: &mut Node, preset: &Node) {
    if let Some(keys) = preset.get("source") {
        source.put_beneath(&keys.value);
    }
    let named = preset.get("streams");
    let each = preset.get("stream");
    // Without streams in the pipeline file, those that the preset names are read.
    if let (None, Some(named)) = (source.get("streams"), named) {
        let bare = |entry: &Entry| Entry {
            value: Node { value: Value::Map(Vec::new()), ..entry.value },
            ..entry.clone()
        };
        let streams = named.value.entries().iter().map(bare).collect();
        source.put_beneath(&map(named.value.at, vec![entry("streams", map(named.value.at, streams))]));
    }
    let Some(streams) = source.get_mut("streams") else { return };
    for stream in streams.entries_mut() {
        if stream.value.is_nothing() {
            stream.value.value = Value::Map(Vec::new());
        }
        if let Some(of_name) = named.and_then(|named| named.value.get(&stream.key)) {
            stream.value.put_beneath(&of_name.value);
        }
        if let Some(each) = each {
            stream.value.put_beneath(&each.value);
        }
    }
}

fn map(at: Span, entries: Vec<Entry>) -> Node {
    Node { at, value: Value::Map(entries) }
}

fn entry(key: &str, value: Node) -> Entry {
    Entry { key: key.to_owned(), key_at: value.at, value }
}

/// The preset called `name`, or in the file of this name, as if all of it stood `at` one place; or what is wrong, and what to do.
fn read(name: &str, folder: &Path, at: Span) -> Result<Node, (String, String)> {
    let shipped = PRESETS.iter().find(|preset| preset.name == name);
    let text = match shipped {
        Some(preset) => preset.text.to_owned(),
        None => fs::read_to_string(folder.join(name)).map_err(|_| unknown(name))?,
    };
    let file = SourceText { path: name.into(), text };
    let mut wrong = Vec::new();
    // A preset has templates, and no values from the environment.
    let none = |_: &str| None;
    let mut interpolation = Interpolation::new(&none, folder);
    match (parse(&file, &mut interpolation, &mut wrong), wrong.first()) {
        (Some(mut preset), None) => {
            preset.stand(at);
            Ok(preset)
        }
        (_, problem) => {
            let message = problem.map_or("the file is empty", |problem| problem.message.as_str());
            Err((format!("the preset `{name}` cannot be read: {message}"), "correct the file".to_owned()))
        }
    }
}

/// What the preset with this `text` says it is about.
pub(crate) fn preset_about(text: &str) -> String {
    let file = SourceText { path: "preset".into(), text: text.to_owned() };
    let none = |_: &str| None;
    let tree = parse(&file, &mut Interpolation::new(&none, Path::new("")), &mut Vec::new());
    tree.and_then(|tree| tree.get("about")?.value.text().map(str::to_owned)).unwrap_or_default()
}

fn unknown(name: &str) -> (String, String) {
    let names = PRESETS.iter().map(|preset| preset.name).collect::<Vec<_>>();
    let hint = match closest(name, &names) {
        Some(word) => did_you_mean(word),
        None => format!("choose from: {}; or give the path of a file of your own", names.join(", ")),
    };
    (format!("there is no preset `{name}`"), hint)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn tree(text: &str) -> Node {
        let file = SourceText { path: PathBuf::new(), text: text.to_owned() };
        parse(&file, &mut Interpolation::new(&|_| None, Path::new("")), &mut Vec::new()).unwrap()
    }

    fn text_at<'n>(node: &'n Node, path: &[&str]) -> Option<&'n str> {
        path.iter().try_fold(node, |node, key| node.get(key).map(|entry| &entry.value))?.text()
    }

    #[test]
    fn what_the_pipeline_file_says_counts_before_the_preset() {
        let mut root = tree(
            "source: {type: http, preset: github, headers: {Accept: mine}, with: {repository: a/b}, \
             streams: {issues: {query: {state: open}}, releases: {}}}",
        );
        let mut problems = Vec::new();
        apply(&mut root, Path::new(""), &mut problems);
        assert_eq!(problems, []);
        let at = |path: &[&str]| text_at(&root, path).map(str::to_owned);
        assert_eq!(at(&["source", "url"]).as_deref(), Some("https://api.github.com"));
        assert_eq!(at(&["source", "headers", "Accept"]).as_deref(), Some("mine"));
        assert_eq!(at(&["source", "headers", "User-Agent"]).as_deref(), Some("tidemark"));
        assert_eq!(at(&["source", "streams", "issues", "query", "state"]).as_deref(), Some("open"));
        assert_eq!(at(&["source", "streams", "issues", "query", "sort"]).as_deref(), Some("updated"));
        assert_eq!(at(&["source", "streams", "issues", "watermark"]).as_deref(), Some("updated_at"));
        assert_eq!(at(&["source", "streams", "releases", "watermark"]), None);
        assert!(at(&["source", "streams", "releases", "path"]).is_some());
    }

    #[test]
    fn another_way_of_paging_takes_nothing_of_the_presets() {
        let paging = "{type: page, more: $.more}";
        let mut root =
            tree(&format!("source: {{type: http, preset: odata, streams: {{a: {{paging: {paging}}}, b:}}}}"));
        apply(&mut root, Path::new(""), &mut Vec::new());
        let at = |path: &[&str]| text_at(&root, &[&["source", "streams"], path].concat()).map(str::to_owned);
        assert_eq!(
            (at(&["a", "paging", "type"]).as_deref(), at(&["a", "paging", "next"])),
            (Some("page"), None)
        );
        assert_eq!(at(&["b", "paging", "type"]).as_deref(), Some("link"));
    }

    #[test]
    fn a_preset_that_names_streams_has_them_read_where_none_is_named() {
        let mut root = tree("source: {type: http, preset: github, with: {repository: a/b}}");
        apply(&mut root, Path::new(""), &mut Vec::new());
        assert!(text_at(&root, &["source", "streams", "commits", "path"]).is_some());
    }

    #[test]
    fn one_that_is_not_there_is_told_with_those_that_are() {
        let mut problems = Vec::new();
        apply(&mut tree("source: {type: http, preset: gihtub}"), Path::new(""), &mut problems);
        assert_eq!(problems[0].message, "there is no preset `gihtub`");
        assert_eq!(problems[0].hint.as_deref(), Some("did you mean `github`?"));
    }
}
