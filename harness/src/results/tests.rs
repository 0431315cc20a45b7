//! Records written and read again.

use std::fs;
use std::path::Path;

use super::*;

/// The message that reading the runs of the folder ends with.
fn complaint(folder: &ResultsFolder) -> String {
    let message = folder.read_runs(&[]).expect_err("the records are not readable").to_string();
    // The folder is a temporary one, whose name differs from run to run.
    message.replace(&folder.path().display().to_string(), "results")
}

/// A folder with one completed run whose file has been given to `damage`, and what reading it says.
fn damaged(file: &str, damage: impl FnOnce(&Path)) -> String {
    let (_temporary, folder) = fixture::empty_folder();
    fixture::add_done(&folder, &fixture::models()[0], 0, 3);
    damage(&folder.run("vit-tiny-s0").path().join(file));
    complaint(&folder)
}

fn replace(from: &'static str, to: &'static str) -> impl FnOnce(&Path) {
    move |path| {
        let text = fs::read_to_string(path).unwrap();
        assert!(text.contains(from));
        fs::write(path, text.replacen(from, to, 1)).unwrap();
    }
}

fn cut(bytes: usize) -> impl FnOnce(&Path) {
    move |path| {
        let text = fs::read(path).unwrap();
        fs::write(path, &text[..text.len() - bytes]).unwrap();
    }
}

#[test]
fn records_come_back_as_they_were_written() {
    let (_temporary, folder) = fixture::empty_folder();
    let model = &fixture::models()[0];
    fixture::add_done(&folder, model, 0, 3);
    let run = folder.run("vit-tiny-s0");
    assert_eq!(run.read_done().unwrap(), Some(fixture::done(model, 0)));
    let epochs = run.read_epochs().unwrap().unwrap();
    assert_eq!(epochs.iter().map(|epoch| epoch.epoch).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(run.read_timing().unwrap().unwrap().len(), 90);
    // A name that looks like a number stays a name.
    let predictions = run.read_predictions().unwrap().unwrap();
    assert_eq!((predictions.len(), predictions[12].image.as_str()), (1000, "0012"));
    assert_eq!((predictions[12].top5.0.len(), predictions[12].top5.0[0]), (2, predictions[12].predicted));
    assert_eq!(run.read_parts().unwrap().unwrap().len(), 30);
    assert_eq!(run.log_tail(5).unwrap(), ["2026-11-20T09:31:00Z vit-tiny seed 0 done"]);
    assert_eq!(folder.run("no-such-run").read_epochs().unwrap(), None);
}

#[test]
fn figures_that_json_cannot_say_are_absent() {
    let (_temporary, folder) = fixture::empty_folder();
    let model = &fixture::models()[0];
    fixture::add_done(&folder, model, 0, 1);
    let run = folder.run("vit-tiny-s0");
    run.write_done(&RunRecord { test_loss: Some(f64::INFINITY), ..fixture::done(model, 0) }).unwrap();
    assert_eq!(run.read_done().unwrap().unwrap().test_loss, None);
}

#[test]
fn runs_come_in_the_order_of_the_plan() {
    let (_temporary, folder) = fixture::folder();
    folder.run("interrupted").create().unwrap();
    let names = |models: &[String]| {
        let runs = folder.read_runs(models).unwrap();
        assert_eq!(runs.unfinished, ["interrupted"]);
        runs.ended.iter().map(|run| run.identity().run.clone()).collect::<Vec<_>>()
    };
    let order = ["vit-tiny-s0", "vit-tiny-s1", "linformer-tiny-s0", "linformer-tiny-s1"];
    assert_eq!(names(&fixture::order())[..4], order);
    assert_eq!(
        names(&["linformer-tiny".to_owned()])[..3],
        ["linformer-tiny-s0", "linformer-tiny-s1", "conv-vit-tiny-s0"]
    );
}

#[test]
fn a_run_that_is_done_has_failed_no_more() {
    let (_temporary, folder) = fixture::empty_folder();
    let model = &fixture::models()[0];
    fixture::add_failed(&folder, model, 0);
    assert!(folder.read_runs(&[]).unwrap().ended[0].failed().is_some());
    fixture::add_done(&folder, model, 0, 3);
    assert!(folder.read_runs(&[]).unwrap().ended[0].done().is_some());
    folder.run("vit-tiny-s0").remove_failed().unwrap();
    assert_eq!(folder.run("vit-tiny-s0").read_failed().unwrap(), None);
}

#[test]
fn a_file_is_replaced_whole_and_leaves_nothing_beside_it() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("plan.toml");
    write_atomic(&path, b"a longer text").unwrap();
    write_atomic(&path, b"short").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"short");
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 1);
    let message = write_atomic(&temporary.path().join("missing/plan.toml"), b"text").unwrap_err().to_string();
    assert!(message.contains("missing/plan.toml"), "{message}");
}

#[test]
fn damaged_records_are_named_with_file_and_line() {
    insta::assert_snapshot!(damaged("done.json", cut(40)), @r"
    results/runs/vit-tiny-s0/done.json:69: the file is cut off: EOF while parsing a string at line 69 column 22
      help: restore the file, or delete its run's folder and run the command again
    ");
    insta::assert_snapshot!(damaged("done.json", |path| fs::write(path, "").unwrap()), @r"
    results/runs/vit-tiny-s0/done.json:1: the file is cut off: EOF while parsing a value at line 1 column 0
      help: restore the file, or delete its run's folder and run the command again
    ");
    insta::assert_snapshot!(damaged("done.json", |path| fs::write(path, "garbage").unwrap()), @r"
    results/runs/vit-tiny-s0/done.json:1: expected value at line 1 column 1
      help: restore the file, or delete its run's folder and run the command again
    ");
    insta::assert_snapshot!(damaged("done.json", replace("\"test_images\": 1000", "\"test_images\": -1")), @r"
    results/runs/vit-tiny-s0/done.json:43: invalid value: integer `-1`, expected usize at line 43 column 19
      help: restore the file, or delete its run's folder and run the command again
    ");
    insta::assert_snapshot!(damaged("epochs.csv", cut(1)), @r"
    results/runs/vit-tiny-s0/epochs.csv:4: the file is cut off: its last line does not end
      help: restore the file, or delete its run's folder and run the command again
    ");
    insta::assert_snapshot!(damaged("epochs.csv", replace(",val,", ",")), @r"
    results/runs/vit-tiny-s0/epochs.csv:2: 13 fields where the header has 14: the file is cut off or damaged
      help: restore the file, or delete its run's folder and run the command again
    ");
    insta::assert_snapshot!(damaged("epochs.csv", replace("\n2,1,0.001", "\n2,1,fast")), @r"
    results/runs/vit-tiny-s0/epochs.csv:2: `lr`: invalid float literal
      help: restore the file, or delete its run's folder and run the command again
    ");
    insta::assert_snapshot!(damaged("epochs.csv", |path| fs::write(path, "").unwrap()), @r"
    results/runs/vit-tiny-s0/epochs.csv:1: the file is cut off: its last line does not end
      help: restore the file, or delete its run's folder and run the command again
    ");
    insta::assert_snapshot!(damaged("timing.csv", replace("inference", "guessing")), @r"
    results/runs/vit-tiny-s0/timing.csv:32: unknown variant `guessing`, expected `train_step` or `inference`
      help: restore the file, or delete its run's folder and run the command again
    ");
    insta::assert_snapshot!(damaged("timing.csv", |path| fs::write(path, b"schema\n\xff\xfe\n").unwrap()), @r"
    results/runs/vit-tiny-s0/timing.csv:2: not UTF-8 text
      help: restore the file, or delete its run's folder and run the command again
    ");
}

#[test]
fn records_of_a_newer_program_are_refused() {
    insta::assert_snapshot!(damaged("done.json", replace("\"schema\": 2", "\"schema\": 3")), @r"
    results/runs/vit-tiny-s0/done.json: schema 3 is newer than this program's (2)
      help: use a newer vitbench
    ");
    insta::assert_snapshot!(damaged("timing.csv", replace("\n2,train_step", "\n7,train_step")), @r"
    results/runs/vit-tiny-s0/timing.csv:2: schema 7 is newer than this program's (2)
      help: use a newer vitbench
    ");
}

#[test]
fn what_is_no_results_folder_is_not_opened() {
    let temporary = tempfile::tempdir().unwrap();
    let root = temporary.path().display().to_string();
    let message = |path: &Path| ResultsFolder::open(path).unwrap_err().to_string().replace(&root, "results");
    insta::assert_snapshot!(message(temporary.path()), @r"
    results: is not a results folder: it has no `runs`
      help: give the folder that `vitbench run` wrote
    ");
    insta::assert_snapshot!(message(&temporary.path().join("cifar")), @r"
    results/cifar: is not there
      help: give the folder that `vitbench run` wrote
    ");

    let (_temporary, folder) = fixture::empty_folder();
    fixture::add_done(&folder, &fixture::models()[0], 0, 1);
    fs::rename(folder.run("vit-tiny-s0").path(), folder.run("copy").path()).unwrap();
    insta::assert_snapshot!(complaint(&folder), @r"
    results/runs/copy: holds the records of run `vit-tiny-s0`
      help: give the folder the name of its run
    ");
}

/// Records as version 0.1.0 wrote them first. Every later version has to read them; a version with another schema adds a folder beside
/// this one and leaves this one as it is.
#[test]
fn records_of_released_schemas_stay_readable() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/records-schema-1");
    let folder = ResultsFolder::open(path).unwrap();
    assert_eq!(folder.read_machine().unwrap().unwrap().cpu_cores, 2);
    let runs = folder.read_runs(&[]).unwrap();
    let [failed, done] = &runs.ended[..] else { panic!("two runs: {:?}", runs.unfinished) };
    let (failed, done) = if done.done().is_some() { (failed, done) } else { (done, failed) };
    let record = done.done().unwrap();
    assert_eq!((record.model_size.params, record.jobs, record.resumes), (141_898, 1, 0));
    assert_eq!(record.model_size.macs(), 196_608 + 4_194_304 + 524_288 + 4_194_304 + 640);
    assert_eq!(record.model_size.macs_of("attention"), Some(524_288));
    assert!((record.test_top1.unwrap() - 0.763).abs() < 1e-12);
    assert_eq!((done.epochs.len(), done.timing.len()), (20, 158));
    assert_eq!(done.folder.read_predictions().unwrap().unwrap().len(), 25);
    assert_eq!(failed.failed().unwrap().reason, FailureReason::Diverged);
    assert_eq!(summary_csv(&runs.ended, &Stage::default()).iter().filter(|byte| **byte == b'\n').count(), 3);
}

/// Schema 1 called them `raw_*`.
#[test]
fn non_ema_figures_of_schema_1_are_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../results/published/cifar10-conv-vit-best");
    let runs = ResultsFolder::open(path).unwrap().read_runs(&[]).unwrap();
    let run = &runs.ended[0];
    assert!(run.done().unwrap().non_ema_test_top1.is_some() && run.epochs[0].non_ema_eval_loss.is_some());
}
