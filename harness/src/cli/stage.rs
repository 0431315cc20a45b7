//! Runs the timing stage for several commands, and shows how far it is.

use crate::config::TimingPlan;
use crate::error::{Error, Result};
use crate::measure::{command_line, machine_record};
use crate::report::magnitude;
use crate::results::{BlockRecord, MachineRecord, ResultsFolder, SCHEMA, Stage, StageRecord, StretchRecord};
use crate::runner::{Progress, Repetitions, StageOptions, Stop, time_stage};

/// Where blocks are kept.
pub(super) enum Kept<'a> {
    /// In a results folder, with those that it has.
    In(&'a ResultsFolder),
    /// Only for this command.
    Nowhere,
}

/// Times the models of `plan` side by side, and returns all samples. Says on standard error how far it is.
///
/// # Errors
/// If a process of the stage fails, or if `stop` was set.
pub(super) fn time(plan: &TimingPlan, threads: usize, stop: &Stop, in_process: bool, kept: &Kept<'_>) -> Result<Stage> {
    let (blocks, record) = match kept {
        Kept::In(folder) => (folder.read_blocks()?.unwrap_or_default(), folder.read_stage()?),
        Kept::Nowhere => (Vec::new(), None),
    };
    if let (Kept::In(folder), Some(last)) = (kept, record.as_ref().and_then(|record| record.stretches.last())) {
        check_machine(folder, last, &machine_record(plan.device, command_line(), threads))?;
    }
    let record = record.unwrap_or(StageRecord { schema: SCHEMA, stretches: Vec::new() });
    let models = plan.models.len();
    let most = plan.measure.max_seconds * models as f64;
    let plural = if models == 1 { "" } else { "s side by side" };
    eprintln!("Timing {models} model{plural}: five processes or more, about {most:.0} s at most.");
    let mut save = |blocks: &[BlockRecord], record: &StageRecord| match kept {
        Kept::In(folder) => folder.write_stage(blocks, record),
        Kept::Nowhere => Ok(()),
    };
    let mut tell = |Progress { processes, precision }: Progress| {
        let known = precision.map_or_else(String::new, |precision| {
            format!("; every ratio is known to within {} %", magnitude(100.0 * precision))
        });
        eprintln!("  process {processes} has ended{known}");
    };
    let options = StageOptions { plan, threads, stop, in_process, repetitions: None };
    let timed = time_stage(&options, blocks, record, &mut save, &mut tell)?;
    timed.ok_or_else(|| Error::Interrupted { code: stop.exit_code() })
}

/// Refuses to mix samples of different hardware: ratios of speeds depend on it.
fn check_machine(folder: &ResultsFolder, last: &StretchRecord, machine: &MachineRecord) -> Result<()> {
    // Older stretches do not know their CPU's family, but the folder may.
    let kind = last.cpu_kind.clone().or(folder.read_machine()?.and_then(|machine| machine.details.cpu_kind()));
    let here = StretchRecord {
        cpu: machine.cpu.clone(),
        cpu_kind: machine.details.cpu_kind().filter(|_| kind.is_some()),
        cpu_cores: machine.cpu_cores,
        device: machine.device.clone(),
        threads: machine.threads,
        ..last.clone()
    };
    let there = StretchRecord { cpu_kind: kind, ..last.clone() };
    if there.hardware() == here.hardware() {
        return Ok(());
    }
    Err(Error::input(
        folder.path().display(),
        format!("its models were timed on {}, and this is {}", there.hardware(), here.hardware()),
        "ratios of speeds differ between machines: time them there, or into a folder of their own \
         (`vitbench time DIR --out NEW`)",
    ))
}

/// Times the models of `plan` in a fixed number of processes.
///
/// # Errors
/// If a process fails, or if `stop` was set.
pub(super) fn repeat(plan: &TimingPlan, threads: usize, stop: &Stop, repetitions: Repetitions) -> Result<Stage> {
    let options = StageOptions { plan, threads, stop, in_process: false, repetitions: Some(repetitions) };
    let mut tell = |progress: Progress| eprintln!("{} of {}", progress.processes, repetitions.processes);
    let record = StageRecord { schema: SCHEMA, stretches: Vec::new() };
    let timed = time_stage(&options, Vec::new(), record, &mut |_, _| Ok(()), &mut tell)?;
    timed.ok_or_else(|| Error::Interrupted { code: stop.exit_code() })
}
