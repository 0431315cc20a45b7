//! Compares a repetition of a plan with the original, run by run.

use super::figures;
use super::format::{or_none, percent};
use crate::error::Result;
use crate::results::{EpochRecord, MachineRecord, ResultsFolder, Run, RunRecord};
use crate::stats::Interval;

/// How a repeated run compares with the original.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeated {
    /// Losses of all epochs, test loss and predictions are the same to the last bit.
    BitIdentical,
    /// They are not, but the test accuracy lies within the original model's 95 % interval.
    WithinInterval,
    /// The test accuracy lies outside the interval.
    Different,
    /// One of the two has no test accuracy, or there is no interval.
    Unknown,
}

/// A run and its repetition.
#[derive(Debug, Clone, PartialEq)]
pub struct Repetition {
    /// Model and seed.
    pub run: String,
    /// Test accuracy of the original, in percent.
    pub before: String,
    /// Of the repetition.
    pub now: String,
    /// How they compare.
    pub repeated: Repeated,
    /// What differs between the two that may be the cause.
    pub causes: Vec<String>,
}

/// Compares the runs of two folders that have the same model and seed, in the order of `models`.
///
/// # Errors
/// If a record cannot be read.
pub fn repetitions(original: &ResultsFolder, again: &ResultsFolder, models: &[String]) -> Result<Vec<Repetition>> {
    let (before, now) = (original.read_runs(models)?, again.read_runs(models)?);
    let figures = figures::of_models(&before.ended, &crate::results::Stage::default());
    let mut repetitions = Vec::new();
    for run in &before.ended {
        let (Some(record), identity) = (run.done(), run.identity()) else { continue };
        let same = |other: &&Run| other.identity().model == identity.model && other.identity().seed == identity.seed;
        let Some((other, repeated)) = now.ended.iter().find(same).and_then(|other| Some((other, other.done()?))) else {
            continue;
        };
        let interval = figures.iter().find(|model| model.runs.model == identity.model);
        let interval = interval.and_then(|model| model.top1.as_ref()?.interval);
        let verdict = match is_identical((run, record), (other, repeated))? {
            true => Repeated::BitIdentical,
            false => within(record, repeated, interval),
        };
        let causes =
            if verdict == Repeated::BitIdentical { Vec::new() } else { causes((run, record), (other, repeated)) };
        repetitions.push(Repetition {
            run: format!("{} seed {}", identity.model, identity.seed),
            before: or_none(record.test_top1, percent),
            now: or_none(repeated.test_top1, percent),
            repeated: verdict,
            causes,
        });
    }
    Ok(repetitions)
}

fn is_identical((a, record_a): (&Run, &RunRecord), (b, record_b): (&Run, &RunRecord)) -> Result<bool> {
    let bits = |value: Option<f64>| value.map(f64::to_bits);
    let losses = |run: &Run| -> Vec<[u64; 4]> {
        let of = |epoch: &EpochRecord| {
            [epoch.train_loss, epoch.train_top1, epoch.eval_loss, epoch.eval_top1].map(f64::to_bits)
        };
        run.epochs.iter().map(of).collect()
    };
    Ok(bits(record_a.test_loss) == bits(record_b.test_loss)
        && bits(record_a.test_top1) == bits(record_b.test_top1)
        && losses(a) == losses(b)
        && a.folder.read_predictions()? == b.folder.read_predictions()?)
}

fn within(before: &RunRecord, now: &RunRecord, interval: Option<Interval>) -> Repeated {
    match (before.test_top1, now.test_top1, interval) {
        (Some(_), Some(now), Some(interval)) if interval.low <= now && now <= interval.high => Repeated::WithinInterval,
        (Some(_), Some(_), Some(_)) => Repeated::Different,
        _ => Repeated::Unknown,
    }
}

/// The conditions of training that differ, as phrases.
fn causes((a, record_a): (&Run, &RunRecord), (b, record_b): (&Run, &RunRecord)) -> Vec<String> {
    let (before, now) = (&record_a.identity, &record_b.identity);
    let machine = |run: &Run, of: fn(&MachineRecord) -> Option<String>| run.machine.as_deref().and_then(of);
    let flags = |machine: &MachineRecord| machine.details.cpu_flags.clone();
    let mut causes = Vec::new();
    let mut compare = |what: &str, before: Option<String>, now: Option<String>| {
        if before != now {
            let text = |value: Option<String>| value.unwrap_or_else(|| "not recorded".to_owned());
            causes.push(format!("{what}: {} then, {} now", text(before), text(now)));
        }
    };
    compare("version of the numerics", Some(before.numerics.to_string()), Some(now.numerics.to_string()));
    compare("data", Some(before.data_fingerprint.clone()), Some(now.data_fingerprint.clone()));
    compare("batches", Some(record_a.batch_digest.clone()), Some(record_b.batch_digest.clone()));
    compare("device", Some(before.device.clone()), Some(now.device.clone()));
    compare("CPU", machine(a, |machine| Some(machine.cpu.clone())), machine(b, |machine| Some(machine.cpu.clone())));
    compare(
        "revision",
        machine(a, |machine| Some(machine.version.clone())),
        machine(b, |machine| Some(machine.version.clone())),
    );
    if machine(a, flags) != machine(b, flags) {
        causes.push("the CPU's instruction sets differ, or were not recorded".to_owned());
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::fixture;

    #[test]
    fn repetitions_are_identical_within_the_interval_or_different() {
        let (_temporary, original) = fixture::empty_folder();
        let (_other, again) = fixture::empty_folder();
        let [vit, ..] = fixture::models();
        (0..3).for_each(|seed| fixture::add_done(&original, &vit, seed, 3));
        fixture::add_done(&again, &vit, 0, 3);
        for (seed, top1) in [(1, 0.737), (2, 0.5)] {
            // The fixture adds 0.004 for each seed.
            let other =
                fixture::Model { top1: top1 - 0.004 * seed as f64, ..fixture::models().into_iter().next().unwrap() };
            fixture::add_done(&again, &other, seed, 3);
        }
        let found: Vec<Repeated> =
            repetitions(&original, &again, &fixture::order()).unwrap().iter().map(|run| run.repeated).collect();
        assert_eq!(found, [Repeated::BitIdentical, Repeated::WithinInterval, Repeated::Different]);
    }
}
