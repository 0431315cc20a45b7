//! Detects the layout of a file's names and their common prefix, such as `model.` in a wrapper.

use std::collections::{HashMap, HashSet};

use layers::layout::Layout;

use super::WeightsFile;
use crate::error::{Error, Result};

/// A file's layout.
#[derive(Debug)]
pub(super) struct Detected {
    /// The one of the given layouts.
    pub(super) layout: Layout,
    /// The prefix of every name.
    pub(super) prefix: String,
}

/// Finds the layout that most of the file's names fit; the first, if several fit equally.
///
/// # Errors
/// If no layout fits at least half of the names that it could have in common with the file.
pub(super) fn detect(file: &WeightsFile, layouts: Vec<Layout>) -> Result<Detected> {
    let mut best = (0, Detected { layout: layouts[0].clone(), prefix: String::new() });
    for layout in layouts {
        let (found, prefix) = best_prefix(file, &layout);
        if found > best.0 {
            best = (found, Detected { layout, prefix });
        }
    }
    let (found, detected) = best;
    let comparable = names(&detected.layout).count().min(file.names().len());
    if found == 0 || found * 2 < comparable {
        return Err(unknown(file, &detected.layout, found));
    }
    Ok(detected)
}

fn names(layout: &Layout) -> impl Iterator<Item = &str> {
    layout.entries.iter().flat_map(|entry| &entry.theirs).map(String::as_str)
}

/// The prefix with which most of the layout's names are in the file, and how many are.
fn best_prefix(file: &WeightsFile, layout: &Layout) -> (usize, String) {
    let wanted: HashSet<&str> = names(layout).collect();
    let mut votes: HashMap<&str, usize> = HashMap::new();
    for name in file.names() {
        // A prefix ends with a dot, or is empty.
        let ends = name.match_indices('.').map(|(dot, _)| dot + 1);
        for end in std::iter::once(0).chain(ends).filter(|end| wanted.contains(&name[*end..])) {
            *votes.entry(&name[..end]).or_default() += 1;
        }
    }
    let best = votes.into_iter().max_by(|(a, a_votes), (b, b_votes)| a_votes.cmp(b_votes).then(b.len().cmp(&a.len())));
    best.map_or((0, String::new()), |(prefix, found)| (found, prefix.to_owned()))
}

fn unknown(file: &WeightsFile, nearest: &Layout, found: usize) -> Error {
    let here: Vec<&str> = file.names().take(3).collect();
    let there: Vec<&str> = names(nearest).take(3).collect();
    Error::input(
        file.path().display(),
        format!("its {} tensors are named in no known layout (such as `{}`)", file.names().len(), here.join("`, `")),
        format!("`{}` comes nearest, with {found} names found; it has `{}`", nearest.name, there.join("`, `")),
    )
}
