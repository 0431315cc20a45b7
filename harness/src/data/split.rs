//! Stratified, seeded draws from labelled images: limits and held-out fractions.

use rand::seq::SliceRandom;

use layers::random::{Purpose, stream};

use crate::error::{Error, Result};

/// A partition of the images, as ascending indices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parts {
    /// The remaining images.
    pub(super) rest: Vec<usize>,
    /// The images held out.
    pub(super) aside: Vec<usize>,
}

/// A stratified sample of at most `limit` images, as ascending indices. Classes keep their proportions, and every class is present
/// if `limit` is large enough. Returns all images if there is no limit or the limit is not reached.
pub(super) fn limit(labels: &[u32], limit: Option<usize>, seed: u64, purpose: Purpose) -> Vec<usize> {
    match limit {
        Some(limit) if limit < labels.len() => draw(labels, limit, 0, seed, purpose).aside,
        _ => (0..labels.len()).collect(),
    }
}

/// Holds out a fraction of the images, in proportion to the sizes of the classes. Every class contributes at least one image if the
/// fraction is large enough, and keeps at least one.
///
/// # Errors
///
/// [`Error::Input`] that names `key` if not a single image can be held out.
pub(super) fn set_aside(labels: &[u32], fraction: f64, key: &str, seed: u64, purpose: Purpose) -> Result<Parts> {
    let count = (labels.len() as f64 * fraction).round() as usize;
    let parts = draw(labels, count, 1, seed, purpose);
    if parts.aside.is_empty() {
        let problem = format!("is {fraction}, which holds out none of {} images", labels.len());
        return Err(Error::input(key, problem, "increase it, or use more images"));
    }
    Ok(parts)
}

/// Holds out `count` images. Every class keeps at least `reserve` images.
fn draw(labels: &[u32], count: usize, reserve: usize, seed: u64, purpose: Purpose) -> Parts {
    let classes = labels.iter().max().map_or(0, |&greatest| greatest as usize + 1);
    let mut members = vec![Vec::new(); classes];
    for (index, &label) in labels.iter().enumerate() {
        members[label as usize].push(index);
    }
    let quotas = quotas(&members.iter().map(Vec::len).collect::<Vec<_>>(), count, reserve);
    let mut parts = Parts { rest: Vec::new(), aside: Vec::new() };
    for (class, (mut members, quota)) in members.into_iter().zip(quotas).enumerate() {
        members.shuffle(&mut stream(purpose, [seed, class as u64, 0]));
        parts.aside.extend_from_slice(&members[..quota]);
        parts.rest.extend_from_slice(&members[quota..]);
    }
    parts.aside.sort_unstable();
    parts.rest.sort_unstable();
    parts
}

/// The number of images that each class contributes: first in proportion to its size, by the largest-remainder method (ties go to
/// the lower class). Then a class that would contribute none contributes one, and the class that contributes most gives one fewer.
/// No class keeps fewer than `reserve` images.
fn quotas(sizes: &[usize], count: usize, reserve: usize) -> Vec<usize> {
    let spare: Vec<usize> = sizes.iter().map(|size| size.saturating_sub(reserve)).collect();
    let total = sizes.iter().sum::<usize>().max(1);
    let count = count.min(spare.iter().sum());
    let mut quotas: Vec<usize> =
        sizes.iter().zip(&spare).map(|(size, &spare)| (size * count / total).min(spare)).collect();
    let mut by_remainder: Vec<usize> = (0..sizes.len()).collect();
    by_remainder.sort_by_key(|&class| std::cmp::Reverse(sizes[class] * count % total));
    while quotas.iter().sum::<usize>() < count {
        for &class in &by_remainder {
            if quotas[class] < spare[class] && quotas.iter().sum::<usize>() < count {
                quotas[class] += 1;
            }
        }
    }
    for class in 0..sizes.len() {
        if quotas[class] == 0 && spare[class] > 0 {
            let richest = (0..sizes.len()).rev().max_by_key(|&class| quotas[class]).unwrap_or(class);
            if quotas[richest] > 1 {
                quotas[richest] -= 1;
                quotas[class] += 1;
            }
        }
    }
    quotas
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_are_proportional_complete_and_leave_no_class_out() {
        assert_eq!(quotas(&[50, 50], 10, 0), [5, 5]);
        assert_eq!(quotas(&[10, 20, 70], 10, 0), [1, 2, 7]);
        assert_eq!(quotas(&[3, 3, 3], 4, 0), [2, 1, 1], "the remainder goes to the lower class");
        assert_eq!(quotas(&[1, 99], 10, 0), [1, 9], "a rare class is present");
        assert_eq!(quotas(&[5, 5, 5], 2, 0), [1, 1, 0], "too few for every class");
        assert_eq!(quotas(&[1, 9], 5, 1), [0, 5], "a class keeps its only image");
        assert_eq!(quotas(&[2, 2], 9, 1), [1, 1], "more requested than available");
        assert_eq!(quotas(&[], 3, 0), [0; 0]);
    }

    #[test]
    fn a_limit_is_stratified_seeded_and_ascending() {
        let labels: Vec<u32> = (0..1000).map(|i| u32::from(i % 4 == 0)).collect();
        let sample = limit(&labels, Some(100), 5, Purpose::TrainLimit);
        assert_eq!(sample.len(), 100);
        assert_eq!(sample.iter().filter(|&&i| labels[i] == 1).count(), 25);
        assert!(sample.is_sorted_by(|a, b| a < b));
        assert_eq!(sample, limit(&labels, Some(100), 5, Purpose::TrainLimit));
        assert_ne!(sample, limit(&labels, Some(100), 6, Purpose::TrainLimit));
        assert_ne!(sample, limit(&labels, Some(100), 5, Purpose::TestLimit));
        for no_limit in [None, Some(1000), Some(2000)] {
            assert_eq!(limit(&labels, no_limit, 5, Purpose::TrainLimit), (0..1000).collect::<Vec<_>>());
        }
    }

    #[test]
    fn setting_aside_parts_the_images() {
        let labels: Vec<u32> = (0..200).map(|i| u32::from(i >= 190)).collect();
        let parts = set_aside(&labels, 0.1, "data.val_fraction", 0, Purpose::ValSplit).unwrap();
        assert_eq!(parts.aside.len(), 20);
        assert_eq!(parts.aside.iter().filter(|&&i| labels[i] == 1).count(), 1);
        let mut all = [parts.rest, parts.aside].concat();
        all.sort_unstable();
        assert_eq!(all, (0..200).collect::<Vec<_>>());
    }

    #[test]
    fn a_share_that_comes_to_nothing_is_an_error() {
        for labels in [&[0, 1, 0, 1][..], &[]] {
            let error = set_aside(labels, 0.1, "data.val_fraction", 0, Purpose::ValSplit).unwrap_err().to_string();
            assert!(error.starts_with("data.val_fraction: is 0.1, which holds out none of"), "{error}");
        }
        assert!(
            set_aside(&[0, 1], 0.9, "data.val_fraction", 0, Purpose::ValSplit).is_err(),
            "a class keeps its only image"
        );
    }
}
