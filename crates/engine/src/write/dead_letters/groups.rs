//! Which letters hang together: those that share a key, directly or by way of others, are written in order or not at all.

use std::collections::HashMap;

use crate::{log::DeadLetter, schema::StreamName};

/// `letters` in groups, each in the order in which its changes are played.
pub(super) fn groups(mut letters: Vec<DeadLetter>) -> Vec<Vec<DeadLetter>> {
    letters.sort_by_key(DeadLetter::order);
    let mut groups = Vec::<Vec<DeadLetter>>::new();
    let mut of_key = HashMap::<(StreamName, String), usize>::new();
    for letter in letters {
        let keys = letter.keys.iter().map(|key| (letter.stream.clone(), key.clone())).collect::<Vec<_>>();
        let mut meets = keys.iter().filter_map(|key| of_key.get(key).copied()).collect::<Vec<_>>();
        meets.sort_unstable();
        meets.dedup();
        let group = match meets.split_first() {
            None => {
                groups.push(Vec::new());
                groups.len() - 1
            }
            Some((first, others)) => {
                for other in others {
                    let others = std::mem::take(&mut groups[*other]);
                    groups[*first].extend(others);
                }
                of_key.values_mut().filter(|group| others.contains(group)).for_each(|group| *group = *first);
                *first
            }
        };
        of_key.extend(keys.into_iter().map(|key| (key, group)));
        groups[group].push(letter);
    }
    groups.retain(|group| !group.is_empty());
    groups.iter_mut().for_each(|group| group.sort_by_key(DeadLetter::order));
    groups
}
