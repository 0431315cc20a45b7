//! The same records give the same bytes, verdicts follow from the evidence, and unusable records are refused.

use std::collections::BTreeMap;
use std::fs;

use std::sync::LazyLock;

use super::material::Records;
use super::*;
use crate::config::ReportConfig;
use crate::results::fixture::{self, Model};
use crate::results::{Outcome, ResultsFolder, Run, Runs};

/// Every file of the report with its bytes.
fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let plots = root.join("plots");
    let entries = [root, &plots].map(|folder| fs::read_dir(folder).unwrap()).into_iter().flatten();
    let paths = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

fn runs(folder: &ResultsFolder) -> Vec<Run> {
    folder.read_runs(&fixture::order()).unwrap().ended
}

/// Records of these runs, without a timing stage.
pub(crate) fn records(runs: Runs) -> Records {
    Records { runs, machines: Vec::new(), stage: Stage::default(), test_reads: Vec::new() }
}

static THREE_RUNS: LazyLock<ReportConfig> = LazyLock::new(ReportConfig::default);

pub(crate) fn material(records: &Records) -> Material<'_> {
    try_material(records).unwrap()
}

fn try_material(records: &Records) -> Result<Material<'_>> {
    Material::new(records, &Source { folders: &[], models: &[], references: &[], report: &THREE_RUNS })
}

/// The ids of all plots.
fn all_plots() -> Vec<&'static str> {
    PLOTS.iter().map(|plot| plot.id).collect()
}

fn change(runs: &mut [Run], index: usize, change: impl FnOnce(&mut crate::results::RunRecord)) {
    if let Outcome::Done(record) = &mut runs[index].outcome {
        change(record);
    }
}

fn model(name: &str) -> Model {
    let [model, ..] = fixture::models();
    Model { name: name.to_owned(), ..model }
}

/// A source of one folder.
pub(super) fn of_folder<'a>(folder: &'a ResultsFolder, models: &'a [String]) -> Source<'a> {
    Source { folders: std::slice::from_ref(folder), models, references: &[], report: &THREE_RUNS }
}

#[test]
fn a_report_made_again_has_the_same_bytes() {
    let (_temporary, folder) = fixture::folder();
    let written = write(folder.path(), &of_folder(&folder, &fixture::order())).unwrap();
    let first = files(folder.path());
    // Five tables, six plots in two formats and the report in two; and the machine's record, which is only read.
    assert_eq!((written.files.len(), first.len()), (19, 20));
    assert!(written.files.iter().all(|path| first.contains_key(path)));

    fs::remove_dir_all(folder.path().join("plots")).unwrap();
    write(folder.path(), &of_folder(&folder, &fixture::order())).unwrap();
    assert!(files(folder.path()) == first);
}

#[test]
fn a_plot_that_has_nothing_to_show_any_more_is_taken_away() {
    let (_temporary, folder) = fixture::empty_folder();
    fs::create_dir_all(folder.path().join("plots")).unwrap();
    let stale = folder.path().join("plots/accuracy.png");
    fs::write(&stale, "from before").unwrap();
    fixture::add_failed(&folder, &model("vit"), 0);
    write(folder.path(), &of_folder(&folder, &[])).unwrap();
    assert!(!stale.exists());
    let report = fs::read_to_string(folder.path().join("report.md")).unwrap();
    assert!(report.contains("No run was completed, so there is no verdict."));
    assert!(report.contains("*There is no plot of test accuracy by model: the runs have no data for it.*"));
    assert!(report.contains("**diverged** in epoch 2: the loss is NaN at step 412"));
}

#[test]
fn verdict_and_results() {
    let (_temporary, folder) = fixture::folder();
    let records = records(folder.read_runs(&fixture::order()).unwrap());
    let report = sections::report(&material(&records), None);
    let until_notes = report.split("\nTop-1 is").next().unwrap();
    insta::assert_snapshot!(until_notes, @r"
    # Vision Transformers compared: 3 models, 5 completed runs

    - **Most accurate:** no winner. conv-vit-tiny, 79.4 % test accuracy, no verdict on vit-tiny and linformer-tiny: 2 runs each, and a verdict needs at least 3.
    - **Fastest to train:** no winner. linformer-tiny, 177 images/s, no verdict on vit-tiny and conv-vit-tiny: they were not timed side by side (`vitbench time DIR` does that).
    - **Fastest to infer:** no winner. linformer-tiny, 531 images/s, no verdict on vit-tiny and conv-vit-tiny: they were not timed side by side (`vitbench time DIR` does that).

    Where chance alone could make a model lead, there is no winner.

    **1 run failed**; the table below says why.

    ## Results

    | Model | Architecture | Seeds | Test top-1, % | 95 % interval | Test top-5, % | Parameters | Training, images/s | Inference, images/s |
    | :--- | :--- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
    | vit-tiny | vit | 2 | 73.6 ± 0.3 | — | 97.0 | 2.69 M | 136 | 407 |
    | linformer-tiny | linformer | 1 | 72.1 | [69.2, 74.8] | 97.0 | 2.74 M | 177 | 531 |
    | linformer-tiny | linformer | seed 1 | **diverged** in epoch 2: the loss is NaN at step 412 | — | — | — | — | — |
    | conv-vit-tiny | conv\_vit | 2 | 79.4 ± 0.3 | — | 97.0 | 3.21 M | 56.2 | 169 |
    ");
}

#[test]
fn a_lead_that_chance_could_make_is_no_lead() {
    let (_temporary, folder) = fixture::empty_folder();
    let [first, second, third] = fixture::models();
    let alike = Model { top1: 0.737, ..second };
    for model in [&first, &alike, &third] {
        (0..3).for_each(|seed| fixture::add_done(&folder, model, seed, 3));
    }
    let runs = folder.read_runs(&fixture::order()).unwrap();
    let without_third = Runs {
        ended: runs.ended.iter().filter(|run| run.identity().model != third.name).cloned().collect(),
        ..runs.clone()
    };
    let all = records(runs);
    let report = sections::report(&material(&all), None);
    assert!(report.contains("**Most accurate:** conv-vit-tiny, 79.6 %"), "{report}");
    assert!(report.contains("| vit-tiny | −5.8 | ") && report.contains("| less accurate |"), "{report}");
    let two = records(without_third);
    let report = sections::report(&material(&two), None);
    assert!(
        report.contains("**Most accurate:** no winner. linformer-tiny, 74.1 %")
            && report.contains(", not distinguishable from vit-tiny.")
            && report.contains("| no difference shown |"),
        "{report}"
    );
}

#[test]
fn one_model_alone_is_measured_and_leads_nobody() {
    let (_temporary, folder) = fixture::empty_folder();
    fixture::add_done(&folder, &fixture::models()[0], 0, 3);
    let records = records(folder.read_runs(&fixture::order()).unwrap());
    let report = sections::report(&material(&records), None);
    insta::assert_snapshot!(report.split("\n## Results").next().unwrap(), @r"
    # A Vision Transformer measured: 1 model, 1 completed run

    - **Accuracy:** vit-tiny, 73.4 % test accuracy (95 % interval 70.6 to 76.0).
    - **Training speed:** vit-tiny, 135 images/s.
    - **Inference speed:** vit-tiny, 406 images/s.
    - **Size:** vit-tiny, 2.69 M parameters.
    ");
}

#[test]
fn comparable_runs_are_said_to_be() {
    let (_temporary, folder) = fixture::folder();
    let done: Vec<Run> = runs(&folder).into_iter().filter(|run| run.identity().seed == 0).collect();
    insta::assert_snapshot!(comparability::notes(&done, &[], &figures::of_models(&done, &Stage::default())).concat(), @r"
    - All completed runs of a seed saw the same training batches (digest `b0c4e19a70` for seed 0).
    - Same for all completed runs: data fingerprint `d41d8cd98f00b204`, training images `45000`, validation images `5000`, test images `1000`, classes `10`, device `flex`, precision `f32`, threads `8`, version `0.1.0 (a1b2c3d)`, version of the numerics `1`, number of epochs `5`, recipe `a1b2c3d4e5`, machine `AMD EPYC 7543 32-Core Processor, 8 logical CPUs`, revision `0.1.0 (a1b2c3d)`.
    ");
}

#[test]
fn differences_are_said_plainly() {
    let (_temporary, folder) = fixture::folder();
    let mut runs = runs(&folder);
    change(&mut runs, 0, |record| {
        record.identity.device = "cuda".to_owned();
        record.batch_digest = "another".to_owned();
    });
    change(&mut runs, 5, |record| record.model_size.params += 1);
    insta::assert_snapshot!(comparability::notes(&runs, &[], &figures::of_models(&runs, &Stage::default())).concat(), @r"
    - **Not directly comparable:** the device differs: `cuda` (vit-tiny); `flex` (vit-tiny, linformer-tiny, conv-vit-tiny)
    - **Not directly comparable:** the training batches of seed 0 differ: `another` (vit-tiny); `b0c4e19a70` (linformer-tiny, conv-vit-tiny)
    - **Not directly comparable:** runs named conv-vit-tiny have models of different sizes; the tables show the size of the first run's model
    - **Not directly comparable:** the completed seeds differ: `0` (linformer-tiny); `0, 1` (vit-tiny, conv-vit-tiny)
    - Same for all completed runs: data fingerprint `d41d8cd98f00b204`, training images `45000`, validation images `5000`, test images `1000`, classes `10`, precision `f32`, threads `8`, version `0.1.0 (a1b2c3d)`, version of the numerics `1`, number of epochs `5`, recipe `a1b2c3d4e5`, machine `AMD EPYC 7543 32-Core Processor, 8 logical CPUs`, revision `0.1.0 (a1b2c3d)`.
    ");
}

#[test]
fn several_revisions_are_named() {
    let (_temporary, folder) = fixture::folder();
    let mut runs = runs(&folder);
    std::sync::Arc::make_mut(runs[0].machine.as_mut().unwrap()).version = "0.1.0 (0e1d2c3)".to_owned();
    let notes = comparability::notes(&runs, &[], &figures::of_models(&runs, &Stage::default())).concat();
    let warning = "- **Several revisions** of the program made these runs; training computes the same in all of them: \
                   `0.1.0 (0e1d2c3)` (vit-tiny); `0.1.0 (a1b2c3d)` (";
    assert!(notes.contains(warning) && !notes.contains("revision `"), "{notes}");
}

#[test]
fn speeds_are_judged_only_where_they_were_measured_side_by_side() {
    let (_temporary, folder) = fixture::empty_folder();
    let [first, second, third] = fixture::models();
    let equal = Model { images_per_s: 1.001 * second.images_per_s, ..third };
    for model in [&first, &second, &equal] {
        fixture::add_done(&folder, model, 0, 3);
    }
    let read = || folder.read_runs(&fixture::order()).unwrap();
    // Runs timed themselves, one after the other.
    let run_wise = records(read());
    let report = sections::report(&material(&run_wise), None);
    assert!(
        report.contains("**Fastest to infer:** no winner. conv-vit-tiny, 5")
            && report.contains("no verdict on linformer-tiny and vit-tiny: they were not timed side by side")
            && report.contains("These speeds are run-wise"),
        "{report}"
    );
    let (blocks, stretches) = fixture::stage(&[&first, &second, &equal]);
    let side_by_side = Records { stage: Stage::new(&blocks, stretches.clone()), ..records(read()) };
    let report = sections::report(&material(&side_by_side), None);
    assert!(
        report.contains("**Fastest to infer:** no winner. conv-vit-tiny, 47")
            && report.contains("equal within 2 % to linformer-tiny.")
            && !report.contains("run-wise: each run"),
        "{report}"
    );
    let page = html::page(&material(&side_by_side)).unwrap();
    assert!(page.contains("equal within 2 %") && page.contains("inference at batch 64"), "the table of ratios");
    let csv =
        String::from_utf8(verdicts::csv(&material(&side_by_side).models, &material(&side_by_side).evidence)).unwrap();
    let verdict = |start: &str| {
        let line = csv.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no {start} in\n{csv}"));
        line.split(',').nth(14).unwrap().to_owned()
    };
    assert_eq!(verdict("2,inference,64,linformer-tiny,vit-tiny,5,5,1.3"), "better");
    assert_eq!(verdict("2,inference,64,conv-vit-tiny,linformer-tiny,5,5,1.0"), "equal");
    assert_eq!(verdict("2,test_top1,,linformer-tiny,vit-tiny,1,1,"), "no_verdict");
    // Four processes are too few.
    let few: Vec<_> = blocks.into_iter().filter(|block| block.process < 5).collect();
    let few = Records { stage: Stage::new(&few, stretches), ..records(read()) };
    let report = sections::report(&material(&few), None);
    assert!(report.contains("they were timed side by side in 4 of the 5 processes that a verdict needs"), "{report}");
}

#[test]
fn of_many_models_plots_with_a_row_each_show_the_most_accurate() {
    let (_temporary, folder) = fixture::empty_folder();
    for index in 0..42 {
        let name = format!("model-{index:02}");
        fixture::add_done(&folder, &Model { run: name.clone(), ..model(&name) }, 0, 1);
    }
    let mut records = records(folder.read_runs(&[]).unwrap());
    for index in [3, 30] {
        change(&mut records.runs.ended, index, |record| record.test_top1 = Some(0.01));
    }
    let material = material(&records);
    let params = PLOTS.iter().find(|plot| plot.id == "params").unwrap();
    let rows = params.render(&Content::new(&material.models, &[]), Format::Svg).unwrap().unwrap();
    let rows = String::from_utf8(rows).unwrap();
    assert!(rows.contains("model-02") && !rows.contains("model-03") && !rows.contains("model-30"));
    let report = sections::report(&material, Some(&all_plots()));
    assert!(report.contains("Only the 40 most accurate of 42 models are shown."), "{report}");
}

#[test]
fn hostile_names_stay_text() {
    let (_temporary, folder) = fixture::empty_folder();
    let long = "long-name-".repeat(30);
    for (index, name) in
        ["<script>alert('x')</script> & \"q\"", "=1+1", "a|b`c\n# d", "emoji 😀 模型", &long].into_iter().enumerate()
    {
        fixture::add_done(&folder, &Model { run: format!("run{index}"), ..model(name) }, 0, 2);
    }
    let records = records(folder.read_runs(&[]).unwrap());
    let material = material(&records);
    let figures = &material.models;
    let report = sections::report(&material, Some(&all_plots()));
    assert!(
        !report.contains("<script") && !report.contains("a|b") && !report.contains("\n# d") && !report.contains(&long)
    );
    let content = Content::new(figures, &[]);
    for plot in PLOTS.iter().filter(|plot| plot.in_markdown.is_some()) {
        let svg = String::from_utf8(plot.render(&content, Format::Svg).unwrap().unwrap()).unwrap();
        assert!(!svg.contains("<script") && svg.contains("&lt;script&gt;") && !svg.contains(&long));
    }
    assert!(String::from_utf8(summary_csv(&records.runs.ended, &records.stage)).unwrap().contains("\n2,'=1+1,vit,"));
    // Wide characters take two columns, which the table takes into account.
    assert!(terminal::summary(figures).lines().all(|line| line.chars().count() <= 80));
}

#[test]
fn the_terminal_gets_a_row_per_model_and_a_line_per_failure() {
    let (_temporary, folder) = fixture::folder();
    let records = records(folder.read_runs(&fixture::order()).unwrap());
    insta::assert_snapshot!(terminal::summary(&material(&records).models), @r"
     model             test          95 %     train  inference  params
                      top-1      interval  images/s   images/s
    ───────────────────────────────────────────────────────────────────
     vit-tiny        73.6 %             —       136        407  2.69 M
     linformer-tiny  72.1 %  69.2 to 74.8       177        531  2.74 M
     conv-vit-tiny   79.4 %             —      56.2        169  3.21 M
    failed: linformer-tiny, seed 1: diverged, the loss is NaN at step 412
    ");
}

#[test]
fn predictions_of_other_images_are_refused() {
    let (_temporary, folder) = fixture::empty_folder();
    fixture::add_done(&folder, &model("vit"), 0, 2);
    let path = folder.run("vit-tiny-s0").path().join("predictions.csv");
    let whole = fs::read_to_string(&path).unwrap();
    let complaint = |text: String| {
        fs::write(&path, text).unwrap();
        let records = records(folder.read_runs(&[]).unwrap());
        try_material(&records).err().expect("the predictions are wrong").to_string()
    };
    let cut: Vec<&str> = whole.lines().take(900).collect();
    let message = complaint(cut.join("\n") + "\n");
    assert!(message.contains("predictions.csv: 899 rows, but the run had 1000 test images"), "{message}");
    let (header, rows) = whole.split_once('\n').unwrap();
    let (first, others) = rows.split_once('\n').unwrap();
    let mut cells: Vec<&str> = first.split(',').collect();
    cells[3] = "77";
    let message = complaint(format!("{header}\n{}\n{others}", cells.join(",")));
    assert!(message.contains("has class 77, but the run had 10 classes"), "{message}");
}
