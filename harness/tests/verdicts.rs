//! Timing, comparing and repeating, as users meet them.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

mod bench;

use bench::{Bench, CONFIG, only_run, text};

#[test]
fn models_are_timed_without_training() {
    let bench = Bench::new(CONFIG);
    let json = bench.succeed(&["time", "plan.toml", "--seconds", "0", "--threads", "2", "--format", "json"]);
    let rows: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    let key = |row: &serde_json::Value| {
        let text = |key: &str| row[key].as_str().unwrap().to_owned();
        (text("model"), text("mode"), row["batch_size"].as_u64().unwrap())
    };
    let keys: Vec<_> = rows.iter().map(key).collect();
    let expected = |model: &str| {
        [("train_step", 16), ("inference", 1), ("inference", 16)]
            .map(|(mode, size)| (model.to_owned(), mode.to_owned(), size))
    };
    assert_eq!(keys, [expected("vit"), expected("conv")].concat());
    for row in &rows {
        assert_eq!((row["source"].as_str(), row["processes"].as_u64()), (Some("stage"), Some(5)), "{row}");
        let number = |key: &str| row[key].as_f64().unwrap();
        assert!(number("low") <= number("images_per_s") && number("images_per_s") <= number("high"), "{row}");
        assert!(number("median_s") <= number("p90_s") && number("p90_s") <= number("p99_s"), "{row}");
        assert!(number("mfu_percent") > 0.0, "{row}");
    }
    // A training step makes three times the operations of a forward pass.
    let flop = |row: &serde_json::Value| row["gflop_per_s"].as_f64().unwrap() / row["images_per_s"].as_f64().unwrap();
    assert!((flop(&rows[0]) / flop(&rows[1]) - 3.0).abs() < 1e-9);
    // Every process has each model at least once, side by side.
    assert!(rows.iter().all(|row| row["blocks"] == rows[0]["blocks"] && row["blocks"].as_u64() >= Some(5)));

    let table = bench.succeed(&["time", "plan.toml", "--seconds", "0", "--set", "measure.inference_batch_sizes=[1,4]"]);
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    assert!(table.contains("infer 1 ") && table.contains("infer 4 ") && !table.contains("infer 16"), "{table}");
    assert!(!bench.path("results").exists(), "nothing is written");

    bench.succeed(&["time", "plan.toml", "--seconds", "0", "--out", "timed"]);
    let verdicts = fs::read_to_string(bench.path("timed/verdicts.csv")).unwrap();
    let quantities: Vec<&str> = verdicts.lines().skip(1).map(|line| line.split(',').nth(1).unwrap()).collect();
    assert_eq!(quantities, ["train_step", "latency", "inference"]);
    // Once more: there are then twice as many processes.
    bench.succeed(&["time", "plan.toml", "--seconds", "0", "--out", "timed"]);
    let throughput = fs::read_to_string(bench.path("timed/throughput.csv")).unwrap();
    assert!(throughput.lines().nth(1).unwrap().contains(",stage,10,"), "{throughput}");
}

#[test]
fn of_many_models_only_some_pairs_are_compared() {
    let bench = Bench::new("");
    let mut config = "[train]\noptimizer = { kind = 'sgd' }\n".to_owned();
    for model in 0..41 {
        config += &format!(
            "[[model]]\nname = 'm{model}'\nimage_size = 8\nclasses = 2\nbatch_size = 4\n\
             architecture = 'vit'\npatch_size = 4\nd_model = {}\ndepth = 1\nheads = 1\nd_ff = 8\n",
            8 + 4 * (model % 3)
        );
    }
    fs::write(bench.path("many.toml"), config).unwrap();
    let stdout = bench.succeed(&["time", "many.toml", "--seconds", "0", "--out", "timed"]);
    let said = stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("each is compared in speed only with the fastest and with the first"), "{said}");
    let verdicts = fs::read_to_string(bench.path("timed/verdicts.csv")).unwrap();
    for quantity in ["train_step", "inference", "latency"] {
        let pairs = verdicts.lines().filter(|line| line.split(',').nth(1) == Some(quantity)).count();
        // Each with the first, and, unless that is the fastest, each with the fastest as well.
        assert!(pairs == 40 || pairs == 40 + 39, "{pairs} pairs have a verdict on {quantity}");
    }
}

#[test]
fn a_results_folder_is_timed_again_without_training() {
    let bench = Bench::new(CONFIG);
    bench.succeed(&["run", "plan.toml", "--out", "out"]);
    assert!(!bench.path("out/blocks.csv").exists(), "`measure.max_seconds = 0` leaves the timing stage out");
    let report = |bench: &Bench| fs::read_to_string(bench.path("out/report.md")).unwrap();
    assert!(report(&bench).contains("Nothing was timed."), "{}", report(&bench));
    let stdout = bench.succeed(&["time", "out"]);
    assert!(stdout.contains("Timed side by side in 5 processes") && stdout.contains("Report: "), "{stdout}");
    assert!(report(&bench).contains("Timed side by side in 5 processes"), "{}", report(&bench));
    // A plan that is complete and timed is left alone.
    let before = fs::read(bench.path("out/blocks.csv")).unwrap();
    bench.succeed(&["run", "plan.toml", "--out", "out", "--set", "measure.max_seconds=0.1"]);
    assert!(fs::read(bench.path("out/blocks.csv")).unwrap() == before);
    bench.succeed(&["time", "out", "--seconds", "0"]);
    assert!(report(&bench).contains("Timed side by side in 10 processes in 2 stretches"), "{}", report(&bench));
}

/// Both precisions of a model, as the axis of a sweep.
#[test]
fn precision_is_an_axis() {
    let sweep = format!("{CONFIG}\n[sweep]\nprecision = ['f32', 'bf16']\n");
    let bench = Bench::new(&sweep);
    bench.succeed(&["run", "plan.toml", "--out", "out", "--set", "measure.max_seconds=0.1", "--set", "seeds=[0]"]);
    let throughput = fs::read_to_string(bench.path("out/throughput.csv")).unwrap();
    for precision in ["f32", "bf16"] {
        let rows = throughput.lines().filter(|line| line.contains(&format!(",{precision},"))).count();
        let models = throughput.lines().filter(|line| line.contains(&format!("precision={precision}"))).count();
        assert!(rows > 0 && rows == models, "{throughput}");
        let run = only_run(&bench.path("out"), &format!("vit_precision_{precision}"));
        let done: serde_json::Value = serde_json::from_slice(&fs::read(run.join("done.json")).unwrap()).unwrap();
        assert_eq!(done["precision"].as_str(), Some(precision));
    }
    let timing: serde_json::Value = serde_json::from_slice(&fs::read(bench.path("out/timing.json")).unwrap()).unwrap();
    assert!(timing["stretches"][0]["peak_bf16_gflop_per_s"].as_f64() > Some(0.0), "{timing}");
    let refused = bench.refused(&["run", "plan.toml", "--device", "ndarray", "--out", "elsewhere"]);
    assert!(refused.contains("precision: is `bf16`, but the device `ndarray` multiplies matrices in f32"), "{refused}");
}

#[test]
fn what_cannot_be_timed_is_refused() {
    let bench = Bench::new(CONFIG);
    assert!(bench.refused(&["time", "plan.toml", "--set", "model.0.patch_size=5"]).contains("patch_size"));
    fs::write(bench.path("sizes.toml"), "train.optimizer.kind = 'sgd'\n[[model]]\narchitecture = 'vit'\n").unwrap();
    assert!(bench.refused(&["time", "sizes.toml"]).contains("image_size: missing"));
    assert!(bench.refused(&["time", "nowhere.toml"]).contains("there is no such config"));
}

#[test]
fn another_program_paces_the_steps() {
    let bench = Bench::new(CONFIG);
    let mut command = bench.command(&["blocks", "--paced", "plan.toml", "--threads", "2"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut requests = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut answer = || serde_json::from_str::<serde_json::Value>(&answers.next().unwrap().unwrap()).unwrap();
    let summary: serde_json::Value =
        serde_json::from_str(&bench.succeed(&["summary", "plan.toml", "--format", "json"])).unwrap();
    let ready = answer();
    assert!(ready["version"].as_str().unwrap().starts_with(env!("CARGO_PKG_VERSION")), "{ready}");
    for (model, name) in ["vit", "conv"].into_iter().enumerate() {
        assert_eq!(ready["models"][model]["model"], name, "{ready}");
        let layers = summary[model]["layers"].as_array().unwrap();
        let params: u64 = layers.iter().map(|layer| layer["params"].as_u64().unwrap()).sum();
        assert_eq!(ready["models"][model]["params"].as_u64(), Some(params), "{ready}");
    }
    let mut ask = |request: &str| {
        writeln!(requests, "{request}").unwrap();
        answer()
    };
    for (model, mode) in [("vit", "train_step"), ("conv", "inference"), ("vit", "inference"), ("conv", "train_step")] {
        let of_sample = format!(r#"{{"model":"{model}","mode":"{mode}","batch_size":4"#);
        let sample = ask(&format!(r#"{of_sample},"untimed_steps":1,"steps":3}}"#));
        assert!(sample["step_s"].as_f64() > Some(0.0), "{sample}");
        assert!(ask(&format!(r#"{of_sample},"steps":1}}"#))["step_s"].is_number());
    }
    for (request, problem) in [
        (r#"{"model":"swin","mode":"inference","batch_size":4,"steps":1}"#, "the models are vit, conv"),
        (r#"{"model":"vit","mode":"sleep","batch_size":4,"steps":1}"#, "sleep"),
        (r#"{"model":"vit","mode":"inference","batch_size":4,"steps":0}"#, "at least 1"),
        ("steps", "expected"),
    ] {
        let error = ask(request);
        assert!(error["error"].as_str().unwrap().contains(problem), "{error}");
    }
    drop(requests);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// Makes a run's predictions all right, or all wrong.
fn make_predictions(run: &Path, right: bool) {
    let path = run.join("predictions.csv");
    let mut reader = csv::Reader::from_path(&path).unwrap();
    let headers = reader.headers().unwrap().clone();
    let column = |name: &str| headers.iter().position(|header| header == name).unwrap();
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(&headers).unwrap();
    for row in reader.records().map(Result::unwrap) {
        let mut cells: Vec<String> = row.iter().map(str::to_owned).collect();
        let label: usize = cells[column("label")].parse().unwrap();
        cells[column("predicted")] = if right { label } else { (label + 1) % 10 }.to_string();
        writer.write_record(cells).unwrap();
    }
    fs::write(path, writer.into_inner().unwrap()).unwrap();
}

/// All runs of a model.
fn runs_of(folder: &Path, model: &str) -> Vec<PathBuf> {
    let runs = fs::read_dir(folder.join("runs")).unwrap().map(|entry| entry.unwrap().path());
    runs.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(model)).collect()
}

/// The verdicts of `vitbench compare --format csv`.
fn verdicts(csv: &str) -> Vec<String> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let column = reader.headers().unwrap().iter().position(|header| header == "verdict").unwrap();
    reader.records().map(|row| row.unwrap()[column].to_owned()).collect()
}

#[test]
fn results_are_compared_and_a_regression_fails() {
    let bench = Bench::new(CONFIG);
    let run = |out: &str| {
        let more = ["--set", "seeds=[0,1,2]", "--set", "measure.max_seconds=0.1"];
        bench.succeed(&[&["run", "plan.toml", "--out", out], &more[..]].concat());
    };
    run("before");
    run("after");
    let table = bench.succeed(&["compare", "before", "after", "--fail-if", "accuracy=-0.5"]);
    assert!(table.lines().take_while(|line| !line.is_empty()).all(|line| line.chars().count() <= 80), "{table}");
    assert!(table.contains("tie") && table.contains("no verdict"), "{table}");
    // A folder and its copy are the same in everything.
    let copy =
        std::process::Command::new("cp").arg("-r").args(["before", "copy"].map(|name| bench.path(name))).status();
    assert!(copy.unwrap().success());
    let same = verdicts(&bench.succeed(&["compare", "before", "copy", "--format", "csv"]));
    assert_eq!(same, ["tie", "equal", "equal", "equal", "tie", "equal", "equal", "equal"]);

    // Of the speeds of different hours nothing is known, and a limit that nothing can be held against is not met.
    let message = bench.refused(&["compare", "before", "after", "--fail-if", "slower=5%"]);
    assert!(message.contains("--fail-if slower=5%"), "{message}");
    let again = bench.succeed(&["compare", "--rerun", "before", "after", "--format", "csv"]);
    assert!(verdicts(&again).iter().all(|verdict| verdict != "no_verdict"), "{again}");
    assert!(bench.refused(&["compare", "before", "before"]).contains("both sides are the same folder"));
    assert!(bench.refused(&["compare", "before:swin", "after"]).contains("its models are `vit`, `conv`"));
    assert!(bench.refused(&["compare", "before", "nowhere"]).contains("nowhere: is not there"));
    assert_eq!(bench.vitbench(&["compare", "before", "after", "--fail-if", "faster=1%"]).status.code(), Some(2));

    for (folder, right) in [("before", true), ("after", false)] {
        runs_of(&bench.path(folder), "vit").iter().for_each(|run| make_predictions(run, right));
    }
    let output = bench.vitbench(&["compare", "before", "after", "--fail-if", "accuracy=-0.5"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("worse") && text(&output.stderr).contains("--fail-if accuracy=-0.5"));
    let models = bench.vitbench(&["compare", "after:vit", "before:vit", "--fail-if", "accuracy=-0.5"]);
    assert!(models.status.success() && text(&models.stdout).contains("better"), "{}", text(&models.stdout));

    // A model that broke is no model that is as good as before.
    fs::remove_file(runs_of(&bench.path("after"), "conv")[0].join("done.json")).unwrap();
    let message = bench.refused(&["compare", "after:vit", "before:vit", "--fail-if", "accuracy=-0.5"]);
    assert!(message.contains("after:vit: 1 run has not finished"), "{message}");
}

#[test]
fn a_plan_is_reproduced_and_differences_are_said() {
    let bench = Bench::new(CONFIG);
    bench.succeed(&["run", "plan.toml", "--out", "out"]);
    let said = bench.succeed(&["reproduce", "out", "--threads", "1"]);
    assert!(said.trim_end().ends_with("2 of 2 runs are bit-identical"), "{said}");
    assert!(bench.path("out-again/report.html").is_file());
    // A record that says otherwise: 0 % and 100 % are outside any interval of one run.
    let done = only_run(&bench.path("out"), "vit").join("done.json");
    let mut record: serde_json::Value = serde_json::from_slice(&fs::read(&done).unwrap()).unwrap();
    record["test_top1"] = if record["test_top1"].as_f64() > Some(0.5) { 0.0 } else { 1.0 }.into();
    record["data_fingerprint"] = "other images".into();
    fs::write(&done, serde_json::to_vec(&record).unwrap()).unwrap();
    let output = bench.vitbench(&["reproduce", "out"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("data: other images then"), "{}", text(&output.stdout));
    assert!(text(&output.stderr).contains("1 of 2 repeated runs"), "{}", text(&output.stderr));
}

#[test]
fn single_runs_get_no_verdict() {
    let bench = Bench::new(CONFIG);
    bench.succeed(&["run", "plan.toml", "--out", "out"]);
    make_predictions(&only_run(&bench.path("out"), "vit"), true);
    make_predictions(&only_run(&bench.path("out"), "conv"), false);
    bench.succeed(&["report", "out"]);
    let report = fs::read_to_string(bench.path("out/report.md")).unwrap();
    assert!(report.contains("one run each: no verdict") && report.contains("(these two runs)"), "{report}");
    assert!(!report.contains("less accurate"), "{report}");
    let message = bench.refused(&["compare", "out:vit", "out:conv", "--fail-if", "accuracy=-0.5"]);
    assert!(message.contains("some comparisons cannot be judged"), "{message}");
}

#[test]
fn noise_is_measured_and_kept() {
    let bench = Bench::new(CONFIG);
    let noise = ["noise", "--repetitions", "3", "--seconds", "0", "--threads", "1"];
    let table = bench.succeed(&noise);
    assert!(table.contains("training step") && table.contains("3 processes each"), "{table}");
    let kept: Vec<_> =
        fs::read_dir(bench.path("cache/vitbench/noise")).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(kept.len() == 1 && kept[0].to_string_lossy().starts_with("flex-1-"), "{kept:?}");

    bench.succeed(&["run", "plan.toml", "--out", "out", "--threads", "1"]);
    assert!(bench.path("out/noise.json").is_file(), "it is copied into the results of this machine");
    // For another number of threads nothing is known until it is measured.
    bench.succeed(&["run", "plan.toml", "--out", "two", "--threads", "2"]);
    assert!(!bench.path("two/noise.json").exists());
    bench.succeed(&["noise", "--repetitions", "3", "--seconds", "0", "--into", "two"]);
    assert!(bench.path("two/noise.json").is_file());
    assert!(bench.refused(&["noise", "--into", "nowhere"]).contains("nowhere: is not there"));
}
