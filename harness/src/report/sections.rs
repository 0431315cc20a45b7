//! `report.md`, section by section.

use std::collections::BTreeSet;

use super::comparability;
use super::differences;
use super::figures::{Estimate, ModelFigures};
use super::format::{NONE, count, counted, gibibytes, grouped, magnitude, or_none, percent};
use super::markdown::{Align, section, table};
use super::material::Material;
use super::names::{code, markdown, markdown_name, shorten};
use super::plots::{Section, data, images};
use super::reference;
use super::timing;
use super::verdict::{self, Answer};
use crate::results::{EpochRecord, FailureRecord, MachineRecord, ModelSizeRecord, Run, TestRead};
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
    text += &timing::section_of(material, plots);
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
