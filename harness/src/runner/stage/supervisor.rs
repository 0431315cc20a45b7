//! Starts the processes of the timing stage, and decides when there are enough.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use layers::Precision;

use super::job::Job;
use super::process::{StageMessage, time_blocks};
use crate::config::TimingPlan;
use crate::error::{Error, Result};
use crate::lanes::Lanes;
use crate::measure::{Machine, command_line, machine_record};
use crate::results::{
    BlockRecord, MIN_PROCESSES, MachineRecord, SCHEMA, Stage, StageModel, StageRecord, StretchRecord, Timed,
    TimingMode, references,
};
use crate::runner::signals::Stop;

/// Processes that the time of a stretch has to be enough for.
const PROCESSES: f64 = 10.0;

/// Longest time of a process, in seconds. Where there is more time it goes to more processes, because what differs between processes does
/// not become known from longer ones.
const PROCESS_SECONDS: f64 = 6.0;

/// How to time.
pub struct StageOptions<'a> {
    /// The models.
    pub plan: &'a TimingPlan,
    /// Data-parallel workers.
    pub threads: usize,
    /// Requests to stop.
    pub stop: &'a Stop,
    /// Whether to do the work of all processes in this one.
    pub in_process: bool,
    /// How many processes there are; by default there are as many as the precision needs.
    pub repetitions: Option<Repetitions>,
}

/// A fixed number of processes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Repetitions {
    /// Their number.
    pub processes: usize,
    /// Seconds of each.
    pub seconds: f64,
}

/// How far a stretch has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Processes that have ended.
    pub processes: usize,
    /// Half the width of the widest 95 % interval of a ratio, as a fraction, once it is known.
    pub precision: Option<f64>,
}

/// Whether `stage` has samples of all models of `plan`, side by side and in as many processes as a verdict needs.
pub fn covers(stage: &Stage, plan: &TimingPlan) -> bool {
    let Some(first) = plan.models.first() else { return true };
    plan.models.iter().all(|timed| {
        let largest =
            |mode, sizes: &[usize]| sizes.iter().max().map(|batch_size| Timed { mode, batch_size: *batch_size });
        let wanted = [
            largest(TimingMode::TrainStep, &timed.train_batch_sizes),
            largest(TimingMode::Inference, &timed.inference_batch_sizes),
        ];
        wanted.into_iter().flatten().all(|wanted| {
            let processes = stage.log_rates(&timed.model.name, wanted).len();
            let with_first = stage.timed(&first.model.name).any(|other| other == wanted);
            let paired = stage.log_ratios(&timed.model.name, &first.model.name, wanted).len();
            processes >= MIN_PROCESSES && (!with_first || paired >= MIN_PROCESSES)
        })
    })
}

/// Times the models of a plan in alternation, and calls `save` with all blocks and stretches after every process. `blocks` and `record` are
/// what there was before.
///
/// There are at least five processes, and then more until every ratio is known to within `measure.precision` or `measure.max_seconds`
/// per model are used up. Holds the machine exclusively. Returns all samples, or `None` if it was asked to stop.
///
/// # Errors
/// If a process fails, or `save` does.
pub fn time_stage(
    options: &StageOptions<'_>,
    mut blocks: Vec<BlockRecord>,
    mut record: StageRecord,
    save: &mut dyn FnMut(&[BlockRecord], &StageRecord) -> Result<()>,
    tell: &mut dyn FnMut(Progress),
) -> Result<Option<Stage>> {
    let StageOptions { plan, threads, stop, in_process, repetitions } = *options;
    let machine = Machine::this()?;
    let Some(_alone) = machine.alone(stop.flag())? else { return Ok(None) };
    let budget = plan.measure.max_seconds * plan.models.len() as f64;
    let process_s = repetitions.map_or((budget / PROCESSES).min(PROCESS_SECONDS), |fixed| fixed.seconds);
    let first = record.stretches.iter().map(|stretch| stretch.last_process).max().unwrap_or_default() + 1;
    let (started, earlier) = (Instant::now(), blocks.len());
    record.schema = SCHEMA;
    record.stretches.push(beginning(machine_record(plan.device, command_line(), threads), first, plan));
    for count in 1.. {
        let process = first + count as u32 - 1;
        let job = Job::new(plan, threads, process, process_s, count == 1);
        let outcome = if in_process { here(&job, stop)? } else { elsewhere(&job, stop)? };
        let Some(outcome) = outcome else { return Ok(None) };
        blocks.extend(outcome.blocks);
        let reached = precision(&Stage::new(&blocks[earlier..], Vec::new()), plan);
        let seconds = started.elapsed().as_secs_f64();
        let stretch = record.stretches.last_mut().expect("it was added above");
        for (precision, peak) in outcome.peaks {
            match precision {
                Precision::F32 => stretch.peak_gflop_per_s = Some(peak),
                Precision::Bf16 => stretch.peak_bf16_gflop_per_s = Some(peak),
            }
        }
        (stretch.models, stretch.last_process) = (outcome.models, process);
        (stretch.seconds, stretch.reached_precision) = (seconds, reached);
        save(&blocks, &record)?;
        tell(Progress { processes: count, precision: reached });
        let is_precise = reached.is_none_or(|reached| reached <= plan.measure.precision);
        let next_ends = seconds * (count + 1) as f64 / count as f64;
        let is_enough = match repetitions {
            Some(fixed) => count >= fixed.processes,
            None => count >= MIN_PROCESSES && (is_precise || next_ends > budget),
        };
        if is_enough {
            break;
        }
    }
    Ok(Some(Stage::new(&blocks, record.stretches)))
}

/// Half the width of the widest 95 % interval of a ratio of rates, as a fraction; `None` with one model or one process.
fn precision(stage: &Stage, plan: &TimingPlan) -> Option<f64> {
    let names: Vec<&str> = plan.models.iter().map(|timed| timed.model.name.as_str()).collect();
    let mut widest: Option<f64> = None;
    for (i, first) in names.iter().enumerate().take(references(names.len())) {
        for second in &names[i + 1..] {
            for timed in stage.timed(first) {
                let Some(estimate) = stage.log_ratio(first, second, timed) else { continue };
                let half = estimate.half_width(0.05).exp_m1();
                widest = Some(widest.map_or(half, |widest| widest.max(half)));
            }
        }
    }
    widest
}

/// A stretch that begins on this machine with the process `first`.
fn beginning(machine: MachineRecord, first: u32, plan: &TimingPlan) -> StretchRecord {
    StretchRecord {
        version: machine.version,
        cpu_kind: machine.details.cpu_kind(),
        cpu: machine.cpu,
        cpu_cores: machine.cpu_cores,
        device: machine.device,
        threads: machine.threads,
        started: machine.started,
        first_process: first,
        last_process: first,
        seconds: 0.0,
        wanted_precision: plan.measure.precision,
        reached_precision: None,
        peak_gflop_per_s: None,
        peak_bf16_gflop_per_s: None,
        models: Vec::new(),
    }
}

/// What a process reported.
#[derive(Default)]
struct Outcome {
    peaks: Vec<(Precision, f64)>,
    models: Vec<StageModel>,
    blocks: Vec<BlockRecord>,
}

impl Outcome {
    fn hear(&mut self, message: StageMessage) {
        match message {
            StageMessage::Peak(precision, peak) => self.peaks.push((precision, peak)),
            StageMessage::Models(models) => self.models = models,
            StageMessage::Block(block) => self.blocks.extend(block),
        }
    }
}

/// Does a job in this process. `None` if it was asked to stop.
fn here(job: &Job, stop: &Stop) -> Result<Option<Outcome>> {
    let device = job.device.open()?;
    let mut outcome = Outcome::default();
    let lanes = Lanes::on(job.device, job.threads);
    time_blocks(job, &device, &lanes, stop.flag(), &mut |message| outcome.hear(message))?;
    Ok((!stop.is_asked()).then_some(outcome))
}

/// Does a job in a process of its own. `None` if it was asked to stop.
fn elsewhere(job: &Job, stop: &Stop) -> Result<Option<Outcome>> {
    let program = std::env::current_exe().map_err(Error::io("find", Path::new("this program")))?;
    let mut command = Command::new(&program);
    command.arg("blocks").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(Error::io("start", &program))?;
    let mut stdin = child.stdin.take().expect("it is piped");
    let mut line = serde_json::to_vec(job).expect("jobs are JSON");
    line.push(b'\n');
    // A process that has ended no longer reads. Its exit status says why.
    let _ = stdin.write_all(&line).and_then(|()| stdin.flush());
    let outcome = listen(&mut child, stop, &mut stdin);
    let status = child.wait().map_err(Error::io("wait for", &program))?;
    match (status.success(), stop.is_asked()) {
        (_, true) => Ok(None),
        (true, false) => Ok(Some(outcome)),
        (false, false) => {
            let names: Vec<&str> = job.names().collect();
            let problem = format!("the process that times {} ended without a result ({status})", names.join(", "));
            let help = "see its output above; a smaller batch size needs less memory";
            Err(Error::input("timing", problem, help))
        }
    }
}

fn listen(child: &mut Child, stop: &Stop, stdin: &mut impl Write) -> Outcome {
    let mut outcome = Outcome::default();
    let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    for line in lines.map_while(std::result::Result::ok) {
        match serde_json::from_str(&line) {
            Ok(message) => outcome.hear(message),
            // A library that prints.
            Err(_) => eprintln!("{line}"),
        }
        if stop.is_asked() {
            let _ = stdin.write_all(b"stop\n").and_then(|()| stdin.flush());
        }
    }
    outcome
}
