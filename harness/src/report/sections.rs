//! `report.md`, section by section.

use std::collections::BTreeSet;

use super::comparability;
use super::differences;
use super::figures::{Estimate, ModelFigures};
use super::format::{NONE, count, counted, gibibytes, grouped, magnitude, or_none, percent};
use super::markdown::{Align, section, table};
use super::material::Material;
use super::names::{code, markdown, markdown_name, shorten};
use super::pairs::{Comparison, Incomparable, MARGIN, Quantity, Verdict};
use super::plots::{Format, Plot, Section, data};
use super::reference;
use super::speeds::{self, stage_remarks};
use super::verdict::{self, Answer};
use crate::results::{
    EpochRecord, FailureRecord, MachineRecord, ModelSizeRecord, Run, TestRead, ThroughputRow, TimingMode,
};
use crate::stats::sample_std;

/// The whole report, with links to `plots`, the ids of those that were drawn, or without links.
pub(crate) fn report(material: &Material<'_>, plots: Option<&[&str]>) -> String {
    let Material { runs, machines, models, references, .. } = material;
    let mut text = head(material);
    text += &results(models, plots);
    text += &differences::leads(material);
    text += &section("Comparability", &comparability::notes(&runs.ended, &runs.disputed, models).concat());
    if !references.is_empty() {
        text += &section("Comparison with reported results", &reference::beside(models, references));
    }
    text += &learning(material, plots);
    text += &timing(material, plots);
    text += &cost(models, plots);
    text += &section("How this was made", &provenance(&runs.ended, machines));
    text
}

/// The title of a report.
pub(crate) fn title(models: &[ModelFigures<'_>]) -> &'static str {
    if models.len() == 1 { "A Vision Transformer measured" } else { "Vision Transformers compared" }
}

/// Title and verdict.
fn head(material: &Material<'_>) -> String {
    let Material { runs, models: figures, .. } = material;
    let failed = runs.ended.iter().filter(|run| run.failed().is_some()).count();
    let done = runs.ended.len() - failed;
    let mut text =
        format!("# {}: {}, {}\n\n", title(figures), counted(figures.len(), "model"), counted(done, "completed run"));
    let answers = verdict::answers(figures, &material.evidence);
    if answers.is_empty() {
        text += "No run was completed, so there is no verdict.\n";
    } else {
        text.extend(answers.iter().map(Answer::markdown));
        if figures.len() > 1 {
            text += "\nWhere chance alone could make a model lead, there is no winner.\n";
        }
    }
    if failed > 0 {
        text += &format!("\n**{} failed**; the table below says why.\n", counted(failed, "run"));
    }
    if !runs.unfinished.is_empty() {
        text += &format!(
            "\n**{} not finished** and left out: run the same command again to complete the plan.\n",
            counted(runs.unfinished.len(), "run")
        );
    }
    text
}

fn results(figures: &[ModelFigures<'_>], plots: Option<&[&str]>) -> String {
    use Align::{Left, Right};
    let columns = [
        ("Model", Left),
        ("Architecture", Left),
        ("Seeds", Right),
        ("Test top-1, %", Right),
        ("95 % interval", Right),
        ("Test top-5, %", Right),
        ("Parameters", Right),
        ("Training, images/s", Right),
        ("Inference, images/s", Right),
    ];
    let mut rows = Vec::new();
    for model in figures {
        if model.runs.done().next().is_some() {
            rows.push(result_row(model));
        }
        rows.extend(model.runs.failed().map(|failure| failure_row(failure, columns.len())));
    }
    if rows.is_empty() {
        return section("Results", "No run has ended yet.\n");
    }
    let mut text = table(&columns, &rows);
    if figures.iter().any(|model| model.size.is_some()) {
        text += "\nTop-1 is the mean over seeds ± their standard deviation. Its interval is Student's over the seeds if there are \
             three or more, and Wilson's over the test images if there is only one, which says nothing about other seeds. Throughput is \
             that at the largest timed batch, with its 95 % interval over processes in brackets.\n";
    }
    text += &images(plots, Section::Results);
    if let Some(left_out) = data::left_out(figures.len()).filter(|_| plots.is_some()) {
        text += &format!("\nPlots with one row or line per model leave some out. {left_out}\n");
    }
    section("Results", &text)
}

fn result_row(model: &ModelFigures<'_>) -> Vec<String> {
    let top1 = |top1: &Estimate| match sample_std(&top1.by_run) {
        Some(std) => format!("{} ± {}", percent(top1.value), percent(std)),
        None => percent(top1.value),
    };
    let speed = |speed: &Estimate| match speed.interval {
        Some(interval) => {
            format!("{} [{}, {}]", magnitude(speed.value), magnitude(interval.low), magnitude(interval.high))
        }
        None => magnitude(speed.value),
    };
    let interval = model.top1.as_ref().and_then(|top1| top1.interval);
    vec![
        markdown_name(model.runs.model),
        markdown_name(model.runs.architecture),
        model.runs.done().count().to_string(),
        or_none(model.top1.as_ref(), top1),
        or_none(interval, |interval| format!("[{}, {}]", percent(interval.low), percent(interval.high))),
        or_none(model.top5, percent),
        or_none(model.size, |size| count(size.params as f64)),
        or_none(model.train_images_per_s.as_ref(), speed),
        or_none(model.inference_images_per_s.as_ref(), speed),
    ]
}

fn failure_row(failure: &FailureRecord, columns: usize) -> Vec<String> {
    let identity = &failure.identity;
    let mut row = vec![
        markdown_name(&identity.model),
        markdown_name(&identity.architecture),
        format!("seed {}", identity.seed),
        format!(
            "**{}** in epoch {}: {}",
            failure.reason,
            failure.epoch,
            markdown(shorten(&failure.message, 300).trim())
        ),
    ];
    row.resize(columns, NONE.to_owned());
    row
}

fn learning(material: &Material<'_>, plots: Option<&[&str]>) -> String {
    let runs = &material.runs.ended;
    let splits: BTreeSet<&str> =
        runs.iter().flat_map(|run| run.epochs.iter().map(|epoch| epoch.split.as_str())).collect();
    let done = runs.iter().find_map(Run::done);
    let images_of = |images: usize| format!("{} images", grouped(images as i128));
    let mut text = match (splits.iter().copied().collect::<Vec<_>>().as_slice(), done) {
        ([], _) => "No epoch was recorded.\n".to_owned(),
        (["val"], Some(record)) => format!(
            "After every epoch the models were evaluated on the validation split ({}). The test set ({}) was used once, after \
             the last epoch{}.\n",
            images_of(record.val_images),
            images_of(record.test_images),
            // Two results on one test set tempt readers to pick the better one.
            if runs.iter().filter_map(Run::done).any(|record| record.non_ema_test_top1.is_some()) {
                ": for the averaged weights, which are the result, and also for those of the last step"
            } else {
                ""
            }
        ),
        (["val"], None) => "After every epoch the models were evaluated on the validation split.\n".to_owned(),
        (["test"], _) => {
            "After every epoch the models were evaluated on the test set itself, because there was no validation split. \
                          Choosing an epoch or a model by these curves makes the test accuracy optimistically biased.\n"
                .to_owned()
        }
        (mixed, _) => format!(
            "**Not directly comparable:** the epochs of these runs were evaluated on different splits ({}).\n",
            mixed.iter().map(|split| code(split)).collect::<Vec<_>>().join(", ")
        ),
    };
    text += &best_and_last(runs);
    text += &test_reads(material.test_reads).map_or_else(String::new, |sentence| format!("\n{sentence}\n"));
    text += &images(plots, Section::Learning);
    section("Learning", &text)
}

/// How often the test set was read, and with how many configs. `None` if the folder does not know.
pub(crate) fn test_reads(reads: &[TestRead]) -> Option<String> {
    let times: u64 = reads.iter().map(|read| u64::from(read.reads)).sum();
    let configs: BTreeSet<&str> = reads.iter().map(|read| read.config_digest.as_str()).collect();
    let times = if times == 1 { "once".to_owned() } else { format!("{} times", grouped(times)) };
    (!reads.is_empty()).then(|| {
        format!(
            "In this folder, the test set was read {times}, with {} (seeds not counted), including runs that were deleted since.",
            counted(configs.len(), "config")
        )
    })
}

/// The best and the last epoch of each run.
fn best_and_last(runs: &[Run]) -> String {
    use Align::{Left, Right};
    let averaged = runs.iter().any(|run| run.epochs.iter().any(|epoch| epoch.non_ema_eval_top1.is_some()));
    let mut columns = vec![
        ("Model", Left),
        ("Seed", Right),
        ("Images", Left),
        ("Best top-1, %", Right),
        ("in epoch", Right),
        ("Last top-1, %", Right),
        ("in epoch", Right),
        ("Test top-1 at the end, %", Right),
    ];
    if averaged {
        columns.extend([("Last top-1 without averaging, %", Right), ("Test top-1 without averaging, %", Right)]);
    }
    let row = |run: &Run| {
        let (best, last) = (EpochRecord::best(&run.epochs)?, run.epochs.last()?);
        let mut row = vec![
            markdown_name(&run.identity().model),
            run.identity().seed.to_string(),
            last.split.clone(),
            percent(best.eval_top1),
            best.epoch.to_string(),
            percent(last.eval_top1),
            last.epoch.to_string(),
            or_none(run.done().and_then(|record| record.test_top1), percent),
        ];
        if averaged {
            row.push(or_none(last.non_ema_eval_top1, percent));
            row.push(or_none(run.done().and_then(|record| record.non_ema_test_top1), percent));
        }
        Some(row)
    };
    let rows: Vec<_> = runs.iter().filter_map(row).collect();
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "\nThe best epoch is chosen in hindsight, so its accuracy is optimistically biased; test accuracy is always that of the weights at the \
         end of training.\n\n{}",
        table(&columns, &rows)
    )
}

fn timing(material: &Material<'_>, plots: Option<&[&str]>) -> String {
    use Align::{Left, Right};
    let columns = [
        ("Model", Left),
        ("Mode", Left),
        ("Batch", Right),
        ("Images/s", Right),
        ("95 % interval", Right),
        ("Range over blocks", Right),
        ("Median, ms", Right),
        ("p99, ms", Right),
        ("GFLOP/s", Right),
        ("MFU, %", Right),
    ];
    let row = |row: &ThroughputRow| {
        let mode = match row.mode {
            TimingMode::TrainStep => "training step",
            TimingMode::Inference => "inference",
        };
        let ends = |low: f64, high: f64| format!("[{}, {}]", magnitude(low), magnitude(high));
        vec![
            markdown_name(&row.model),
            mode.to_owned(),
            row.batch_size.to_string(),
            magnitude(row.images_per_s),
            or_none(row.low.zip(row.high), |(low, high)| ends(low, high)),
            or_none(row.range, |range| ends(range.low, range.high)),
            magnitude(1e3 * row.median_s),
            magnitude(1e3 * row.p99_s),
            or_none(row.gflop_per_s, magnitude),
            or_none(row.mfu_percent, |percent| format!("{percent:.0}")),
        ]
    };
    let rows: Vec<_> = material.models.iter().flat_map(|model| &model.throughput).map(row).collect();
    if rows.is_empty() {
        return section("Timing", "Nothing was timed.\n");
    }
    let mut text = ratio_table(material);
    for remark in stage_remarks(material.stage).iter().map(String::as_str).chain(run_wise(&material.models)) {
        text += &format!("{}\n\n", markdown(remark));
    }
    text += "Times are those of one step on a batch that is already in memory. A training step is forward, loss, backward and \
             optimiser; inference is the forward pass to logits. Inference on a batch of one is the latency. MFU (model FLOPs \
             utilisation) is relative to the rate that plain matrix products reach on the machine; a training step counts as three \
             forward passes.\n\n";
    text += &table(&columns, &rows);
    text += &epoch_rates(&material.models);
    text += &images(plots, Section::Speed);
    section("Timing", &text)
}

/// What a reader has to know about speeds that runs measured themselves, if there are any.
pub(crate) fn run_wise(models: &[ModelFigures<'_>]) -> Option<&'static str> {
    let of_runs = models.iter().flat_map(|model| &model.throughput).any(|row| row.source == "run");
    of_runs.then_some(
        "These speeds are run-wise: each run timed its model by itself, at its own time. The machine's speed drifts between runs, so they \
         decide no verdict. The command vitbench time DIR times the models of a folder side by side.",
    )
}

/// How many times as fast a model is as the fastest.
pub(crate) struct RatioRow {
    /// Index of the model.
    pub(crate) model: usize,
    /// Index of the fastest.
    pub(crate) reference: usize,
    /// What was timed.
    pub(crate) timed: String,
    /// The quantity, and the batch size.
    pub(crate) quantity: (Quantity, usize),
    /// The comparison of the model with the fastest, or why there is no verdict.
    pub(crate) comparison: Result<Comparison, Incomparable>,
    /// The ratio with its 95 % interval.
    pub(crate) ratio: String,
    /// The adjusted interval.
    pub(crate) adjusted: String,
    /// The verdict in words.
    pub(crate) verdict: String,
}

/// For everything that was timed, the ratio of every other model's rate to that of the fastest.
pub(crate) fn ratios(material: &Material<'_>) -> Vec<RatioRow> {
    let Material { models, evidence, stage, .. } = material;
    let mut rows = Vec::new();
    for timed in evidence.all_timed() {
        let rate = |index: usize| stage.rate(models[index].runs.model, timed).map(|rate| rate.images_per_s);
        let mut ranked: Vec<(f64, usize)> = (0..models.len()).filter_map(|index| Some((rate(index)?, index))).collect();
        ranked.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let Some(((_, fastest), others)) = ranked.split_first() else { continue };
        for (_, model) in others {
            let comparison = evidence.at(timed, *model, *fastest);
            let (ratio, adjusted, verdict) = match &comparison {
                Ok(found) => (
                    speeds::ratio(found.estimate.value.exp(), found.interval().exp()),
                    format!("{:.2} to {:.2}", found.adjusted().low.exp(), found.adjusted().high.exp()),
                    match found.verdict(Quantity::of(timed)) {
                        Verdict::Better => "faster".to_owned(),
                        Verdict::Worse => "slower".to_owned(),
                        Verdict::Equal => format!("equal within {:.0} %", 100.0 * MARGIN),
                        Verdict::Tie => "no difference shown".to_owned(),
                    },
                ),
                Err(why) => (NONE.to_owned(), NONE.to_owned(), format!("no verdict: {why}")),
            };
            rows.push(RatioRow {
                model: *model,
                reference: *fastest,
                timed: speeds::title(timed),
                quantity: (Quantity::of(timed), timed.batch_size),
                comparison,
                ratio,
                adjusted,
                verdict,
            });
        }
    }
    rows
}

fn ratio_table(material: &Material<'_>) -> String {
    use Align::{Left, Right};
    let columns = [
        ("Model", Left),
        ("Timed", Left),
        ("Times as fast (95 %)", Right),
        ("as", Left),
        ("Adjusted interval", Right),
        ("Verdict", Left),
    ];
    let name = |index: usize| markdown_name(material.models[index].runs.model);
    let row = |row: RatioRow| {
        vec![name(row.model), row.timed, row.ratio, name(row.reference), row.adjusted, markdown(&row.verdict)]
    };
    let rows: Vec<_> = ratios(material).into_iter().map(row).collect();
    if rows.is_empty() { String::new() } else { format!("{}\n", table(&columns, &rows)) }
}

/// Compares training including data with training steps alone.
fn epoch_rates(models: &[ModelFigures<'_>]) -> String {
    use Align::{Left, Right};
    let columns = [
        ("Model", Left),
        ("Seed", Right),
        ("Epochs, images/s", Right),
        ("Steps alone, images/s", Right),
        ("Epochs / steps", Right),
    ];
    let row = |model: &ModelFigures<'_>, run: &Run| {
        let epochs = run.epoch_images_per_s()?;
        let steps = model.train_images_per_s.as_ref()?.value;
        let identity = run.identity();
        let ratio = format!("{:.2}", epochs / steps);
        Some(vec![
            markdown_name(&identity.model),
            identity.seed.to_string(),
            magnitude(epochs),
            magnitude(steps),
            ratio,
        ])
    };
    let rows: Vec<_> =
        models.iter().flat_map(|model| model.runs.done().filter_map(move |(run, _)| row(model, run))).collect();
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "\nThe cost of the data: the median rate of each run's epochs, which includes reading and augmenting images but not evaluation, and \
         the rate of the timed steps, whose batches are in memory. The rates of epochs are run-wise: runs of different hours differ by the \
         machine's drift as well.\n\n{}",
        table(&columns, &rows)
    )
}

fn cost(figures: &[ModelFigures<'_>], plots: Option<&[&str]>) -> String {
    use Align::{Left, Right};
    let parts = ModelSizeRecord::parts(figures.iter().filter_map(|model| model.size));
    let part_names: Vec<String> = parts.iter().map(|part| part_title(part)).collect();
    let mut columns = vec![("Model", Left), ("Parameters", Right), ("Tokens", Right)];
    columns.extend(part_names.iter().map(|name| (name.as_str(), Right)));
    columns.extend([("MACs", Right), ("FLOPs", Right), ("Training time, s", Right), ("Peak memory", Right)]);
    let rows: Vec<Vec<String>> = figures
        .iter()
        .filter_map(|model| {
            let size = model.size?;
            let macs = |macs: u64| count(macs as f64);
            let mut row =
                vec![markdown_name(model.runs.model), grouped(size.params as i128), grouped(size.tokens as i128)];
            row.extend(parts.iter().map(|part| or_none(size.macs_of(part), macs)));
            row.extend([
                macs(size.macs()),
                macs(size.flops()),
                or_none(model.train_seconds.as_ref(), |seconds| magnitude(seconds.value)),
                or_none(model.train_peak_rss_bytes, gibibytes),
            ]);
            Some(row)
        })
        .collect();
    if rows.is_empty() {
        return section("Cost", "No run was completed, so no cost is known.\n");
    }
    let mut text = "The table lists the multiply-accumulates (MACs) of one image's forward pass by part; 1 MAC = 2 FLOPs. \
                    Training time is the mean over runs, without evaluation; memory is the highest peak resident memory of a run in training.\n\n"
        .to_owned();
    text += &table(&columns, &rows);
    text += &images(plots, Section::Cost);
    section("Cost", &text)
}

/// Links to those plots of a section that were drawn.
fn images(drawn: Option<&[&str]>, section: Section) -> String {
    let Some(drawn) = drawn else { return String::new() };
    let mut text = String::new();
    for plot in Plot::in_markdown(section) {
        text += &if drawn.contains(&plot.id) {
            format!("\n![{}](plots/{})\n", plot.title, plot.file(Format::Png))
        } else {
            format!("\n*There is no plot of {}: the runs have no data for it.*\n", plot.title.to_lowercase())
        };
    }
    text
}

fn provenance(runs: &[Run], machines: &[MachineRecord]) -> String {
    let mut text = String::new();
    for machine in machines {
        text += &format!(
            "- Command: {}\n- Machine: {}, {}, {} of memory, {}\n- Device: {} with {}\n- Version: {}\n- Started: {}\n",
            code(&machine.command),
            markdown(&machine.cpu),
            counted(machine.cpu_cores, "logical CPU"),
            gibibytes(machine.memory_bytes),
            markdown(&machine.os),
            code(&machine.device),
            counted(machine.threads, "thread"),
            code(&machine.version),
            markdown(&machine.started)
        );
    }
    if machines.is_empty() {
        let versions: BTreeSet<&str> = runs.iter().map(|run| run.identity().version.as_str()).collect();
        let versions: Vec<String> = versions.into_iter().map(code).collect();
        text += &format!("- Machine: not recorded\n- Version of the runs: {}\n", versions.join(", "));
    }
    text += "- This report was made from the records in `runs/`. The figures are in `summary.csv`, `models.csv`, `epochs.csv` and \
             `throughput.csv`, and the plots are also in `plots/` as SVG.\n";
    text
}

/// A part's name as a column title: `mlp` as `MLP`, `attention` as `Attention`.
fn part_title(part: &str) -> String {
    let mut letters = part.chars();
    match letters.next() {
        Some(_) if part == "mlp" => "MLP".to_owned(),
        Some(first) => markdown_name(&format!("{}{}", first.to_uppercase(), letters.as_str())),
        None => String::new(),
    }
}
