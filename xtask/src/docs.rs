//! Checks of the pages that people read: links lead somewhere, tests that are named are there, and the README's pipeline file is the
//! example's.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{Result, project::Project, shell::read};

/// Fails with every broken link, every test that is named and not there, and when the README shows another pipeline file than the
/// example has.
pub(crate) fn check(project: &Project) -> Result {
    let mut problems = Vec::new();
    for page in pages(project)? {
        let text = fs::read_to_string(&page)?;
        let folder = page.parent().unwrap_or(Path::new("."));
        let name = page.strip_prefix(project.root()).unwrap_or(&page).display();
        let broken = local_links(&text).filter(|link| !folder.join(link).exists());
        problems.extend(broken.map(|link| format!("{name}: `{link}` leads nowhere")));
        let missing = named_tests(&text).filter(|(test, file)| !is_in(test, &folder.join(file)));
        problems.extend(missing.map(|(test, file)| format!("{name}: there is no `{test}` in `{file}`")));
    }
    if readme_pipeline(project)? != example_pipeline(project)? {
        problems.push(
            "README.md: its pipeline file is not examples/flights/pipeline.yaml without comments".into(),
        );
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n").into()) }
}

/// Every Markdown page that the repository holds or is about to.
fn pages(project: &Project) -> Result<Vec<PathBuf>> {
    let arguments = ["ls-files", "--cached", "--others", "--exclude-standard", "*.md"];
    let listing = read(crate::shell::command("git", arguments).current_dir(project.root()))?;
    Ok(listing.lines().map(|page| project.file(page)).filter(|page| page.exists()).collect())
}

/// The targets of `[text](target)` that are files of the project, without their `#section`.
fn local_links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.split('#').next().unwrap_or(target))
        .filter(|target| !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:"))
}

/// The tests that are named with their file: ``[`name`](file.rs)``.
fn named_tests(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split("[`").skip(1).filter_map(|rest| {
        let (test, rest) = rest.split_once("`](")?;
        let (file, _) = rest.split_once(')')?;
        let is_name = test.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        (is_name && file.ends_with(".rs")).then_some((test, file))
    })
}

/// Whether a file has a function of this name. Where a test runs at several places, a macro makes it of that function.
fn is_in(test: &str, file: &Path) -> bool {
    fs::read_to_string(file).is_ok_and(|code| code.contains(&format!("fn {test}(")))
}

fn readme_pipeline(project: &Project) -> Result<String> {
    let readme = fs::read_to_string(project.file("README.md"))?;
    let (_, rest) = readme.split_once("```yaml\n").ok_or("README.md shows no pipeline file")?;
    let (pipeline, _) = rest.split_once("```").ok_or("README.md: the pipeline file has no end")?;
    Ok(pipeline.to_owned())
}

fn example_pipeline(project: &Project) -> Result<String> {
    let pipeline = fs::read_to_string(project.file("examples/flights/pipeline.yaml"))?;
    let settings = pipeline.lines().filter(|line| !line.is_empty() && !line.trim_start().starts_with('#'));
    Ok(settings.flat_map(|line| [line, "\n"]).collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{is_in, local_links, named_tests};

    #[test]
    fn only_links_to_files_count() {
        let text = "[a](docs/a.md#top), [b](https://example.org), [c](#here), ![d](d.svg)";
        assert_eq!(local_links(text).collect::<Vec<_>>(), ["docs/a.md", "d.svg"]);
    }

    #[test]
    fn tests_are_told_from_other_links() {
        let text =
            "[`it_holds`](../a.rs), [`--json`](b.md) [`Some::path`](c.rs) [words](d.rs) [`too`](e.rs) `[`";
        assert_eq!(named_tests(text).collect::<Vec<_>>(), [("it_holds", "../a.rs"), ("too", "e.rs")]);
    }

    #[test]
    fn a_test_that_is_not_there_is_missed() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/docs.rs");
        assert!(is_in("a_test_that_is_not_there_is_missed", &here));
        assert!(!is_in("a_test_that_is_not", &here), "a part of a name is another name");
        assert!(!is_in("a_test_that_is_not_there_is_missed", &here.join("nowhere")));
    }
}
