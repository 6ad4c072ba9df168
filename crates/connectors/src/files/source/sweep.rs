//! One look at the files of a stream: which is which, by content rather than by name.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
};

use tidemark_engine::Result;

use super::{
    cursor::{Mark, StreamCursor},
    folder::Found,
    name::reading_order,
    watch::Beginning,
};

/// What a look at the files found.
#[derive(Debug)]
pub(super) struct Sweep {
    /// The files in the order to read them: those begun before the new ones, for what they still hold is older.
    pub(super) files: Vec<Seen>,
    /// Whether the cursor changed: a file was renamed, came back or went.
    pub(super) moved: bool,
}

/// A file and what is known of it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) found: Found,
    /// How far it has been read; `None` for a new one.
    pub(super) mark: Option<Mark>,
    /// Whether its path has been read with another content, which is nowhere to be found now.
    pub(super) rewritten: bool,
}

impl Seen {
    /// Whether there is something to do with it.
    pub(super) fn has_more(&self) -> bool {
        match &self.mark {
            None => self.found.size > 0 || self.rewritten,
            Some(mark) if mark.rows.is_some() => !mark.complete,
            Some(mark) => self.found.size > mark.offset,
        }
    }
}

impl Sweep {
    /// Matches the files `found` with those known to `cursor`, and brings the paths there up to date. `compare` tells
    /// whether a file still begins with what was read under a mark.
    ///
    /// A file under its own path that holds what was read is itself. Any other is, in this order: a known file under
    /// a new name, when it holds what was read from one that is elsewhere no more; rewritten, when its path is known;
    /// new. One that is not there any more is left out, and what is known of it is kept: it is on its way to another
    /// name, which the next look will tell.
    pub(super) fn new(
        cursor: &mut StreamCursor,
        mut found: Vec<Found>,
        mut compare: impl FnMut(&Found, &Mark) -> Result<Beginning>,
    ) -> Result<Self> {
        found.sort_by(|a, b| reading_order(&a.path, &b.path));
        let marks = &mut cursor.files;
        // For each file its mark, for each mark whether a file claimed it.
        let mut claims = vec![None; found.len()];
        let mut claimed = vec![false; marks.len()];
        let mut absent = HashSet::new();
        let by_path = live_by_path(marks);
        for (file, claim) in found.iter().zip(&mut claims) {
            let Some(&own) = by_path.get(&file.path) else { continue };
            match compare(file, &marks[own])? {
                Beginning::Same => (*claim, claimed[own]) = (Some(own), true),
                Beginning::Other => {}
                Beginning::Absent => _ = absent.insert(file.path.clone()),
            }
        }
        let mut moved = false;
        for (file, claim) in found.iter().zip(&mut claims) {
            if claim.is_some() || absent.contains(&file.path) {
                continue;
            }
            let mut free = (0..marks.len()).filter(|&at| !claimed[at]).collect::<Vec<_>>();
            // Of marks that one file may fit, the further one was made later.
            free.sort_by_key(|&at| {
                (marks[at].inode.is_none() || marks[at].inode != file.inode, Reverse(marks[at].offset))
            });
            for at in free.into_iter().filter(|&at| file.size >= marks[at].offset) {
                match compare(file, &marks[at])? {
                    Beginning::Same => (*claim, claimed[at]) = (Some(at), true),
                    Beginning::Other => continue,
                    Beginning::Absent => _ = absent.insert(file.path.clone()),
                }
                break;
            }
        }
        let mut files = Vec::new();
        for (file, claim) in found.iter().zip(&claims) {
            let rewritten = claim.is_none() && by_path.get(&file.path).is_some_and(|&own| !claimed[own]);
            files.push(Seen { found: file.clone(), mark: claim.map(|at| marks[at].clone()), rewritten });
        }
        for (seen, claim) in files.iter_mut().zip(&claims) {
            if let (Some(mark), Some(at)) = (&mut seen.mark, *claim) {
                moved |= mark.path != seen.found.path || mark.gone;
                (mark.path, mark.gone, mark.inode) = (seen.found.path.clone(), false, seen.found.inode);
                marks[at] = mark.clone();
            }
        }
        files.retain(|seen| !absent.contains(&seen.found.path));
        // What was read is gone unless a file holds it. Of a rewritten file it is for the caller to decide.
        let rewritten = files.iter().filter(|seen| seen.rewritten).map(|seen| &seen.found.path);
        let kept = rewritten.chain(&absent).collect::<HashSet<_>>();
        let is_lost = |at: &usize| !claimed[*at] && !marks[*at].gone && !kept.contains(&marks[*at].path);
        let lost = (0..marks.len()).filter(is_lost).collect::<HashSet<_>>();
        moved |= cursor.lose(&lost);
        files.sort_by_key(|seen| seen.mark.is_none() && !seen.rewritten);
        Ok(Self { files, moved })
    }
}

/// Where the mark of each path is. Two for one path should not be; the further one was made later.
fn live_by_path(marks: &[Mark]) -> HashMap<String, usize> {
    let mut by_path = HashMap::new();
    for (at, mark) in marks.iter().enumerate().filter(|(_, mark)| !mark.gone) {
        let own = by_path.entry(mark.path.clone()).or_insert(at);
        if marks[*own].offset < mark.offset {
            *own = at;
        }
    }
    by_path
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, path::PathBuf};

    use tidemark_engine::Time;

    use super::*;

    /// Files by name and content; a mark holds what was read in its header, for want of hashes. A file of the content
    /// `-` goes between the listing and the comparison.
    fn sweep(cursor: &mut StreamCursor, files: &[(&str, &str)]) -> Vec<(String, Option<u64>, bool)> {
        let contents = files.iter().copied().collect::<HashMap<_, _>>();
        let found = files
            .iter()
            .map(|(path, content)| Found {
                path: (*path).into(),
                location: PathBuf::new(),
                size: content.len() as u64,
                modified: Time::EPOCH,
                inode: None,
            })
            .collect();
        let compare = |file: &Found, mark: &Mark| {
            Ok(match contents[file.path.as_str()] {
                "-" => Beginning::Absent,
                content if content.starts_with(&mark.header.as_ref().unwrap()[0]) => Beginning::Same,
                _ => Beginning::Other,
            })
        };
        let sweep = Sweep::new(cursor, found, compare).unwrap();
        sweep
            .files
            .into_iter()
            .map(|seen| (seen.found.path, seen.mark.map(|mark| mark.offset), seen.rewritten))
            .collect()
    }

    fn read(cursor: &mut StreamCursor, path: &str, content: &str) {
        let fingerprint = serde_json::from_str(r#"{"head":"","tail":""}"#).unwrap();
        cursor.put(Mark {
            path: path.into(),
            offset: content.len() as u64,
            rows: None,
            complete: false,
            lines: 0,
            fingerprint,
            header: Some(vec![content.into()]),
            open_end: false,
            inode: None,
            gone: false,
        });
    }

    fn seen(path: &str, offset: Option<u64>, rewritten: bool) -> (String, Option<u64>, bool) {
        (path.into(), offset, rewritten)
    }

    #[test]
    fn a_grown_file_continues_and_a_new_one_begins() {
        let mut cursor = StreamCursor::default();
        read(&mut cursor, "b", "one");
        let files = sweep(&mut cursor, &[("a", "new"), ("b", "one two")]);
        assert_eq!(files, [seen("b", Some(3), false), seen("a", None, false)]);
    }

    #[test]
    fn a_rotated_file_continues_under_its_new_name() {
        let mut cursor = StreamCursor::default();
        read(&mut cursor, "a.csv", "one");
        read(&mut cursor, "a.csv.1", "zero");
        let files = sweep(&mut cursor, &[("a.csv", "fresh"), ("a.csv.1", "one more"), ("a.csv.2", "zero")]);
        assert_eq!(
            files,
            [seen("a.csv.2", Some(4), false), seen("a.csv.1", Some(3), false), seen("a.csv", None, false)]
        );
    }

    #[test]
    fn a_file_renamed_over_a_known_one_is_read_once() {
        let mut cursor = StreamCursor::default();
        read(&mut cursor, "b", "zero");
        read(&mut cursor, "a", "one");
        assert_eq!(sweep(&mut cursor, &[("b", "one more")]), [seen("b", Some(3), false)]);
        read(&mut cursor, "b", "one more");
        assert_eq!(sweep(&mut cursor, &[("b", "one more")]), [seen("b", Some(8), false)]);
        assert_eq!(cursor.files.iter().map(|mark| mark.gone).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn of_two_marks_for_one_path_the_further_one_counts() {
        let mut cursor = StreamCursor::default();
        read(&mut cursor, "b", "one more");
        read(&mut cursor, "a", "one");
        cursor.files[1].path = "b".into();
        for path in ["b", "b", "c"] {
            assert_eq!(sweep(&mut cursor, &[(path, "one more")]), [seen(path, Some(8), false)]);
        }
    }

    #[test]
    fn other_or_less_content_is_a_rewrite() {
        let mut cursor = StreamCursor::default();
        read(&mut cursor, "a", "one");
        assert_eq!(sweep(&mut cursor.clone(), &[("a", "two")]), [seen("a", None, true)]);
        assert_eq!(sweep(&mut cursor, &[("a", "on")]), [seen("a", None, true)]);
    }

    #[test]
    fn a_file_that_goes_during_the_look_is_left_for_the_next() {
        let mut cursor = StreamCursor::default();
        read(&mut cursor, "a", "1");
        let before = cursor.clone();
        assert_eq!(sweep(&mut cursor, &[("a", "-"), ("b", "-")]), []);
        assert_eq!(cursor, before);
        assert_eq!(
            sweep(&mut cursor, &[("a", "2"), ("b", "1 more")]),
            [seen("b", Some(1), false), seen("a", None, false)]
        );
    }

    #[test]
    fn a_file_that_went_may_come_back() {
        let mut cursor = StreamCursor::default();
        read(&mut cursor, "a", "one");
        assert_eq!(sweep(&mut cursor, &[]), []);
        assert!(cursor.files[0].gone);
        assert_eq!(sweep(&mut cursor.clone(), &[("b", "one")]), [seen("b", Some(3), false)]);
        // Its name is free in the meantime.
        assert_eq!(sweep(&mut cursor, &[("a", "two")]), [seen("a", None, false)]);
    }

    #[test]
    fn the_cursor_does_not_grow_for_ever() {
        let mut cursor = StreamCursor::default();
        for n in 0..3_000 {
            let path = n.to_string();
            read(&mut cursor, &path, &format!("content {n} of its own"));
            sweep(&mut cursor, &[]);
        }
        assert_eq!(cursor.files.len(), 1_000);
        assert_eq!(cursor.files[999].path, "2999");
    }
}
