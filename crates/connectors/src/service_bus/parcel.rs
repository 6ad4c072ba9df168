//! Which messages go together, and which go after others.
//!
//! A parcel is taken whole or not at all. Parcels of a wave have no key in common, so they may be under way side by side; the next wave waits
//! until all were taken. So no message ever overtakes another of its key, not even where the service drops as a duplicate what it is
//! given again.

use std::collections::BTreeMap;

use super::encoding::in_batch;

/// What a parcel may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Capacity {
    pub(super) messages: usize,
    /// Bytes of messages as they stand in a batch.
    pub(super) bytes: usize,
}

/// Numbers of messages of a batch.
pub(super) type Parcel = Vec<usize>;

/// `sizes` are those of the messages, `groups` what each is of. Messages of one group stay in order; a parcel holds messages of one group.
pub(super) fn waves(groups: &[u64], sizes: &[usize], capacity: Capacity) -> Vec<Vec<Parcel>> {
    let mut of_group: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (at, group) in groups.iter().enumerate() {
        of_group.entry(*group).or_default().push(at);
    }
    let mut waves: Vec<Vec<Parcel>> = Vec::new();
    for group in of_group.into_values() {
        for (wave, parcel) in packed(group, sizes, capacity).into_iter().enumerate() {
            if waves.len() == wave {
                waves.push(Vec::new());
            }
            waves[wave].push(parcel);
        }
    }
    waves
}

/// One that is too large by itself has a parcel for itself.
fn packed(messages: Vec<usize>, sizes: &[usize], capacity: Capacity) -> Vec<Parcel> {
    let (mut parcels, mut bytes): (Vec<Parcel>, _) = (Vec::new(), 0);
    for at in messages {
        let size = in_batch(sizes[at]);
        match parcels.last_mut() {
            Some(open) if open.len() < capacity.messages && bytes + size <= capacity.bytes => {
                open.push(at);
                bytes += size;
            }
            _ => {
                parcels.push(vec![at]);
                bytes = size;
            }
        }
    }
    parcels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_key_in_common_is_not_under_way_side_by_side() {
        let capacity = Capacity { messages: 2, bytes: 100 };
        let of = |groups: &[u64], sizes: &[usize]| waves(groups, sizes, capacity);
        assert_eq!(of(&[1, 2, 1, 1], &[1; 4]), [vec![vec![0, 2], vec![1]], vec![vec![3]]]);
        assert_eq!(of(&[1, 1, 1], &[80, 80, 1]), [vec![vec![0]], vec![vec![1, 2]]]);
        assert_eq!(of(&[1, 1], &[1000, 1]), [vec![vec![0]], vec![vec![1]]]);
        assert_eq!(of(&[], &[]), Vec::<Vec<Parcel>>::new());
    }
}
