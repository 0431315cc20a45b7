//! The runs of a plan with their identities.

use std::collections::HashSet;
use std::path::Path;

use rayon::prelude::*;

use crate::config::{DataConfig, Plan, RunConfig};
use crate::data::{self, Dataset};
use crate::error::Result;
use crate::results::RunIdentity;
use crate::run_folder;
use crate::weights;

/// A run of a plan.
#[derive(Debug, Clone)]
pub struct PlannedRun {
    /// Model, recipe, seed.
    pub config: RunConfig,
    /// Its name and what its records begin with.
    pub identity: RunIdentity,
}

/// The names of runs.
pub fn names(runs: &[PlannedRun]) -> HashSet<&str> {
    runs.iter().map(|run| run.identity.run.as_str()).collect()
}

/// Reads all images that `plan` asks for, checks that its models fit them, and names its runs. `config` is the plan's file. Returns
/// also notes about the weights that models start from, one line each.
///
/// # Errors
/// If images or initial weights cannot be read or do not fit.
pub fn identify(
    plan: &mut Plan,
    config: &Path,
    data_dir: Option<&Path>,
    threads: usize,
) -> Result<(Vec<PlannedRun>, Vec<String>)> {
    weights::resolve_initial(plan, config)?;
    let mut notes = Vec::new();
    // Which images the runs see, with their fingerprint and number of classes; most plans have one set of them.
    let mut known: Vec<(DataConfig, String, usize)> = Vec::new();
    for run in plan.runs() {
        let images = run.data.without_augmentation();
        if known.iter().any(|(seen, ..)| *seen == images) {
            continue;
        }
        let Dataset { classes, fingerprint, excluded, .. } = data::load(&images, data_dir)?;
        if !excluded.is_empty() {
            let count = excluded.len();
            notes.push(format!(
                "{count} files cannot be decoded and are left out; every run lists them in its excluded.csv."
            ));
        }
        known.push((images, fingerprint, classes.len()));
    }
    // Matched sizes depend on the number of classes, which for an image folder is known only from the folder.
    plan.classes = known.first().map(|(.., classes)| *classes);
    let mut runs = plan.runs();
    for run in &runs {
        run.device.check_precision(run.precision).map_err(|error| error.within(&config.display().to_string()))?;
    }
    weights::resolve_runs(&mut runs, config)?;
    for (.., classes) in &known {
        plan.check_models(&config.display().to_string(), *classes)?;
        notes.extend(weights::check_initial(&runs, *classes)?);
    }
    let mut said = HashSet::new();
    notes.retain(|note: &String| said.insert(note.clone()));
    let planned = |config: RunConfig| {
        let images = config.data.without_augmentation();
        let (_, fingerprint, _) = known.iter().find(|(seen, ..)| *seen == images).expect("all images were read");
        PlannedRun { identity: run_folder::identity(&config, fingerprint, threads), config }
    };
    Ok((runs.into_par_iter().map(planned).collect(), notes))
}
