//! The program as users meet it: commands, files, messages and exit codes.

use std::fs;
use std::path::Path;

mod bench;

use bench::{Bench, CONFIG, only_run, text};

/// `epochs.csv` without the columns of time.
fn epochs_without_times(path: &Path) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    let headers = reader.headers().unwrap().clone();
    let timeless = |name: &str| !name.contains("seconds") && !name.contains("per_s");
    let keep: Vec<bool> = headers.iter().map(timeless).collect();
    let rows = reader.records().map(Result::unwrap);
    let cut = |row: csv::StringRecord| {
        row.iter().zip(&keep).filter(|(_, keep)| **keep).map(|(cell, _)| cell.to_owned()).collect()
    };
    rows.map(cut).collect()
}

#[test]
fn a_plan_leaves_records_tables_plots_and_report() {
    let bench = Bench::new(CONFIG);
    let stdout = bench.succeed(&["run", "plan.toml", "--set", "measure.max_seconds=0.2"]);
    let folder = bench.path("results/plan");
    for file in [
        "plan.toml",
        "machine.json",
        "models.csv",
        "epochs.csv",
        "throughput.csv",
        "summary.csv",
        "verdicts.csv",
        "blocks.csv",
        "timing.json",
        "report.md",
        "report.html",
    ] {
        assert!(fs::metadata(folder.join(file)).unwrap().len() > 0, "{file}");
    }
    for plot in ["learning_curves", "accuracy", "throughput", "params", "accuracy_vs_throughput"] {
        assert!(fs::read(folder.join(format!("plots/{plot}.png"))).unwrap().starts_with(b"\x89PNG"), "{plot}");
        assert!(fs::read_to_string(folder.join(format!("plots/{plot}.svg"))).unwrap().contains("</svg>"), "{plot}");
    }
    for model in ["vit", "conv"] {
        let run = only_run(&folder, model);
        for file in [
            "config.toml",
            "epochs.csv",
            "parts.csv",
            "predictions.csv",
            "images.csv",
            "images.png",
            "run.log",
            "done.json",
        ] {
            assert!(run.join(file).is_file(), "{model}: {file}");
        }
        assert!(stdout.contains(&format!("{model} seed 0 epoch   2/2")), "a line per epoch:\n{stdout}");
    }
    // The same images for both: the digests of their batches are equal.
    let digest = |model: &str| -> String {
        let record = fs::read(only_run(&folder, model).join("done.json")).unwrap();
        let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
        record["batch_digest"].as_str().unwrap().to_owned()
    };
    assert_eq!(digest("vit"), digest("conv"));
}

#[test]
fn the_same_command_again_trains_nothing_and_elsewhere_finds_the_same() {
    let bench = Bench::new(CONFIG);
    bench.succeed(&["run", "plan.toml"]);
    let done = only_run(&bench.path("results/plan"), "vit").join("done.json");
    let before = fs::metadata(&done).unwrap().modified().unwrap();
    assert!(bench.succeed(&["run", "plan.toml"]).contains("nothing to train"));
    assert_eq!(fs::metadata(&done).unwrap().modified().unwrap(), before);

    bench.succeed(&["run", "plan.toml", "--out", "again", "--threads", "3", "--in-process"]);
    let first = epochs_without_times(&bench.path("results/plan/epochs.csv"));
    assert_eq!(first.len(), 4);
    assert_eq!(first, epochs_without_times(&bench.path("again/epochs.csv")));
}

#[test]
fn a_deleted_run_is_made_again_and_a_report_too() {
    let bench = Bench::new(CONFIG);
    bench.succeed(&["run", "plan.toml", "--out", "out"]);
    fs::remove_dir_all(only_run(&bench.path("out"), "conv")).unwrap();
    let report = fs::read(bench.path("out/report.md")).unwrap();
    fs::remove_file(bench.path("out/report.md")).unwrap();
    let stdout = bench.succeed(&["run", "plan.toml", "--out", "out"]);
    assert!(stdout.contains("conv seed 0 epoch") && !stdout.contains("vit seed 0 epoch"), "{stdout}");
    assert!(!report.is_empty() && bench.path("out/report.md").is_file());

    let tables =
        ["models.csv", "epochs.csv", "throughput.csv", "summary.csv", "report.md", "report.html", "plots/accuracy.svg"];
    let read = || tables.map(|table| fs::read(bench.path("out").join(table)).unwrap());
    let before = read();
    bench.succeed(&["report", "out"]);
    assert!(before == read(), "a report is a function of the records");
}

#[test]
fn a_model_that_diverges_is_a_row_and_the_others_run() {
    let bench = Bench::new(CONFIG);
    // A learning rate that throws the ViT's weights beyond all numbers; the other model is trained after it.
    let output = bench.vitbench(&[
        "run",
        "plan.toml",
        "--out",
        "out",
        "--set",
        "train.lr=1e30",
        "--set",
        "train.optimizer.kind=sgd",
    ]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let summary = fs::read_to_string(bench.path("out/summary.csv")).unwrap();
    assert!(summary.contains("diverged"), "{summary}");
    assert_eq!(summary.lines().count(), 3, "{summary}");
    assert!(only_run(&bench.path("out"), "vit").join("failed.json").is_file());
}

#[test]
fn mistakes_in_a_config_are_named_with_their_remedy() {
    let bench = Bench::new(CONFIG);
    let cases = [
        ("train.epoch=3", vec!["train", "unknown field `epoch`", "did you mean `epochs`?"]),
        ("train.epochs=many", vec!["train.epochs", "invalid type", "expected usize"]),
        (
            "model.0.patch_size=5",
            vec!["model.0 (`vit`): patch_size", "5 does not divide image_size = 16", "take 4 or 8"],
        ),
        ("model.0.heads=3", vec!["model.0 (`vit`): heads", "3 does not divide d_model = 16", "take 2 or 4"]),
        ("model.1.architecture=resnet", vec!["model[1]", "unknown variant `resnet`", "vit, linformer, conv_vit"]),
        ("model.1.dept=3", vec!["model[1]", "unknown field `dept`", "did you mean `depth`?"]),
        ("device=gpu", vec!["device", "unknown variant `gpu`", "flex, ndarray, cuda"]),
        ("data.dataset=mnist", vec!["data.dataset", "unknown variant `mnist`", "shapes, cifar10"]),
        ("train.optimizer.kind=adamax", vec!["train.optimizer", "unknown variant `adamax`", "adam"]),
        ("train.batch_size=0", vec!["train.batch_size", "must be at least 1, got 0"]),
        ("train.lr=-1.0", vec!["train.lr", "must be at least 0, got -1"]),
        ("seeds=[1, 1]", vec!["seeds", "lists 1 twice"]),
        ("data.val_fraction=1.5", vec!["data.val_fraction", "1.5"]),
        ("data.std=[0.2, 0.0, 0.2]", vec!["data.std", "[0.2, 0.0, 0.2]", "above 0"]),
        ("data.augment.mixup.alpha=-1.0", vec!["data.augment.mixup.alpha", "is -1", "above 0"]),
        ("sweep.\"data.augment.mixup.alpha\"=[0.2, -1.0]", vec!["data.augment.mixup.alpha", "is -1"]),
        ("train.optimizer.weight_decay=-0.1", vec!["train.optimizer.weight_decay", "must be at least 0, got -0.1"]),
    ];
    for (assignment, expected) in cases {
        for command in ["run", "plan"] {
            let message = bench.refused(&[command, "plan.toml", "--set", assignment]);
            assert!(message.contains("plan.toml"), "{command}, {assignment}: {message}");
            for part in &expected {
                assert!(message.contains(part), "{command}, {assignment}: no `{part}` in: {message}");
            }
        }
    }
    assert!(!bench.path("results").exists() && !bench.path("out").exists(), "nothing is written");
}

#[test]
fn a_missing_or_broken_config_is_named() {
    let bench = Bench::new(CONFIG);
    assert!(bench.refused(&["run", "absent.toml"]).contains("absent.toml: there is no such config"));
    fs::write(bench.path("broken.toml"), "[train\nepochs = 1").unwrap();
    let message = bench.refused(&["run", "broken.toml"]);
    assert!(message.contains("broken.toml") && message.contains("line 1"), "{message}");
    fs::write(bench.path("binary.toml"), [0xff, 0xfe, 0x00]).unwrap();
    let output = bench.vitbench(&["run", "binary.toml"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
}

#[test]
fn an_unknown_device_or_one_that_is_not_here_is_refused() {
    let bench = Bench::new(CONFIG);
    let output = bench.vitbench(&["run", "plan.toml", "--device", "gpu"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("[possible values: flex, ndarray, cuda"), "{}", text(&output.stderr));
    // Without the feature it is not compiled in; with it, this machine may lack the driver. Either is said.
    let output = bench.vitbench(&["run", "plan.toml", "--device", "metal"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("cargo build --release --features metal"), "{}", text(&output.stderr));
}

#[test]
fn absent_data_says_how_to_get_it() {
    let bench = Bench::new(CONFIG);
    let config = CONFIG.replace("dataset = \"shapes\"", "dataset = \"cifar10\"");
    fs::write(bench.path("cifar.toml"), config).unwrap();
    fs::create_dir(bench.path("empty")).unwrap();
    let message = bench.refused(&["run", "cifar.toml", "--data-dir", "empty"]);
    for part in ["empty", "cifar-10-binary.tar.gz", "--data-dir"] {
        assert!(message.contains(part), "no `{part}` in: {message}");
    }
    let config = CONFIG.replace("dataset = \"shapes\"", "dataset = \"image_folder\"\npath = \"pets\"");
    fs::write(bench.path("folder.toml"), config).unwrap();
    let message = bench.refused(&["run", "folder.toml", "--data-dir", "empty"]);
    assert!(message.contains("pets"), "{message}");
}

#[test]
fn a_folder_of_another_config_is_left_alone() {
    let bench = Bench::new(CONFIG);
    bench.succeed(&["run", "plan.toml", "--out", "out"]);
    let message = bench.refused(&["run", "plan.toml", "--out", "out", "--set", "train.epochs=3"]);
    assert!(message.contains("train.epochs is 2 there and 3 here"), "{message}");
    fs::create_dir(bench.path("photos")).unwrap();
    fs::write(bench.path("photos/cat.jpg"), "not really").unwrap();
    assert!(bench.refused(&["run", "plan.toml", "--out", "photos"]).contains("cat.jpg"));
    assert!(bench.refused(&["report", "photos"]).contains("photos"));
}

#[test]
#[cfg(feature = "ndarray")]
fn ndarray_finds_what_flex_finds() {
    let bench = Bench::new(CONFIG);
    bench.succeed(&["run", "plan.toml", "--out", "flex"]);
    bench.succeed(&["run", "plan.toml", "--out", "ndarray", "--device", "ndarray"]);
    let losses = |folder: &str| -> Vec<f64> {
        let rows = epochs_without_times(&bench.path(folder).join("epochs.csv"));
        let header = csv::Reader::from_path(bench.path(folder).join("epochs.csv")).unwrap().headers().unwrap().clone();
        let kept: Vec<&str> = header.iter().filter(|h| !h.contains("seconds") && !h.contains("per_s")).collect();
        let columns = ["train_loss", "eval_loss"].map(|name| kept.iter().position(|h| *h == name).unwrap());
        rows.iter().flat_map(|row| columns.map(|column| row[column].parse().unwrap())).collect()
    };
    let (flex, ndarray) = (losses("flex"), losses("ndarray"));
    assert_eq!(flex.len(), 8);
    for (a, b) in flex.iter().zip(&ndarray) {
        assert!((a - b).abs() < 1e-4 * b.abs(), "{flex:?} {ndarray:?}");
    }
}

#[test]
fn summaries_hold_the_published_counts_and_fit_a_terminal() {
    let bench = Bench::new(CONFIG);
    for (model, counts) in [
        ("vit_base", vec!["86,390,786"]),
        ("linformer_published", vec!["2,851,842", "2,768,514"]),
        ("conv_vit_published", vec!["59,818"]),
        ("plan.toml", vec!["vit: vit, 16 x 16 pixels", "conv: conv_vit, 16 x 16 pixels"]),
    ] {
        let stdout = bench.succeed(&["summary", model]);
        for count in counts {
            assert!(stdout.contains(count), "{model}: no {count} in\n{stdout}");
        }
        let widest = stdout.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= 80, "{model}: {widest} columns\n{stdout}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&bench.succeed(&["summary", "linformer_published", "--format", "json"])).unwrap();
    let layers = json[0]["layers"].as_array().unwrap();
    let sum = |key: &str| layers.iter().map(|layer| layer[key].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("params"), sum("macs")), (2_851_842, json[0]["macs"].as_u64().unwrap()));
    let csv = bench.succeed(&["summary", "linformer_published", "--format", "csv"]);
    assert_eq!(csv.lines().count(), layers.len() + 1);
    assert!(
        bench
            .refused(&["summary", "resnet"])
            .contains("vit_base, vit_small, vit_tiny, linformer_published, conv_vit_published")
    );
}

#[test]
fn devices_are_listed() {
    let stdout = Bench::new(CONFIG).succeed(&["devices"]);
    assert!(stdout.contains("flex") && stdout.contains("cuda"), "{stdout}");
    let without_peak = Bench::new(CONFIG).vitbench(&["devices", "--format", "csv"]);
    assert!(without_peak.status.code() == Some(2) && text(&without_peak.stderr).contains("--peak"));
}

#[test]
fn the_configs_that_come_with_the_suite_are_sound() {
    let bench = Bench::new(CONFIG);
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs");
    let mut found = 0;
    for entry in walkdir::WalkDir::new(&configs).into_iter().map(Result::unwrap) {
        if entry.path().extension().is_some_and(|extension| extension == "toml") {
            bench.succeed(&["summary", entry.path().to_str().unwrap()]);
            found += 1;
        }
    }
    assert!(found >= 4, "{found} configs in {}", configs.display());
}

#[test]
fn a_preview_shows_images_as_they_are_and_as_epochs_see_them() {
    let bench = Bench::new(CONFIG);
    let stdout =
        bench.succeed(&["data", "preview", "plan.toml", "--out", "sheet.png", "--images", "4", "--epochs", "3"]);
    assert!(stdout.contains("sheet.png"), "{stdout}");
    let sheet = image::open(bench.path("sheet.png")).unwrap().into_rgb8();
    // Images of 16 pixels with two between them.
    assert_eq!(sheet.dimensions(), (4 * 18 - 2, 4 * 18 - 2));
    let cell = |column: u32| image::imageops::crop_imm(&sheet, column * 18, 0, 16, 16).to_image();
    assert!(cell(0) != cell(1) && cell(1) != cell(2));
    bench.succeed(&["data", "preview", "plan.toml", "--out", "same.png", "--images", "4", "--epochs", "3"]);
    assert_eq!(fs::read(bench.path("sheet.png")).unwrap(), fs::read(bench.path("same.png")).unwrap());
    assert!(bench.refused(&["data", "preview", "nowhere.toml"]).contains("there is no such config"));
}

#[test]
fn a_plan_is_foreseen_without_training() {
    let bench = Bench::new(CONFIG);
    let json = bench.succeed(&["plan", "plan.toml", "--threads", "1", "--format", "json", "--set", "seeds=[3,4]"]);
    let rows: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    let keys: Vec<_> = rows.iter().map(|row| (row["model"].as_str().unwrap(), row["seed"].as_u64().unwrap())).collect();
    assert_eq!(keys, [("vit", 3), ("conv", 3), ("vit", 4), ("conv", 4)]);
    for row in &rows {
        let images = ["train_images", "val_images", "test_images", "steps_per_epoch"].map(|key| row[key].as_u64());
        assert_eq!(images, [54, 6, 20, 4].map(Some), "{row}");
        let number = |key: &str| row[key].as_f64().unwrap();
        assert!(number("run_s") > 2.0 * number("epoch_s") && number("epoch_s") > 0.0, "{row}");
    }
    let table = bench.succeed(&["plan", "plan.toml", "--threads", "1"]);
    assert!(table.lines().take(4).all(|line| line.chars().count() <= 80) && table.contains("2 runs of 54"), "{table}");
    let words = ["params", "MMAC", "images", "epochs", "the run", "memory"];
    assert!(words.iter().all(|word| table.contains(word)), "no word is broken: {table}");
    assert!(table.contains("1 run of each model: no verdict on accuracy"), "{table}");
    assert!(!bench.path("results").exists(), "nothing is written");
}

#[test]
fn averaged_weights_early_stopping_and_reference_runs_reach_the_report() {
    let bench = Bench::new(CONFIG);
    let reference =
        "\n[[reference]]\nmodel = 'vit'\nname = 'theirs'\nsource = 'a <b>report</b>'\neval_top1 = [[1, 0.25]]\n";
    fs::write(bench.path("plan.toml"), format!("{CONFIG}{reference}")).unwrap();
    let recipe = ["train.lr=0.0", "train.epochs=9", "train.ema.decay=0.9", "train.early_stopping.patience=2"];
    let mut arguments = vec!["run", "plan.toml", "--out", "out"];
    recipe.iter().for_each(|assignment| arguments.extend(["--set", assignment]));
    bench.succeed(&arguments);
    // Without a learning rate no epoch is better than the first, and the average is the weights themselves.
    for model in ["vit", "conv"] {
        let epochs = epochs_without_times(&only_run(&bench.path("out"), model).join("epochs.csv"));
        assert_eq!(epochs.len(), 3, "{epochs:?}");
    }
    let mut summary = csv::Reader::from_path(bench.path("out/summary.csv")).unwrap();
    let headers = summary.headers().unwrap().clone();
    for row in summary.records().map(Result::unwrap) {
        let cell = |name: &str| row[headers.iter().position(|header| header == name).unwrap()].to_owned();
        assert_eq!((cell("best_epoch"), cell("epochs")), ("1".into(), "3".into()));
        assert_eq!(cell("non_ema_test_top1"), cell("test_top1"));
        assert!(!cell("test_top1").is_empty());
    }
    let report = fs::read_to_string(bench.path("out/report.md")).unwrap();
    assert!(report.contains("| theirs | 1 | 25.0 |") && report.contains("a &lt;b&gt;report"), "{report}");
    let again = bench.refused(&["run", "plan.toml", "--set", "data.val_fraction=0.0"]);
    assert!(again.contains("train.evaluate_on"), "{again}");
    assert!(bench.refused(&["run", "plan.toml", "--set", "reference.0.model=x"]).contains("reference.0.model"));
}

#[test]
fn a_report_is_printed_in_several_forms_and_writes_nothing_then() {
    let bench = Bench::new(CONFIG);
    bench.succeed(&["run", "plan.toml", "--out", "out"]);
    let page = fs::read_to_string(bench.path("out/report.html")).unwrap();
    // What a run says of itself, and what it keeps, is in the page.
    for part in ["data:image/png;base64,", "What a training step spends its time on", "triangle", "done: test"] {
        assert!(page.contains(part), "{part}");
    }
    let before = bench.listing();
    assert_eq!(bench.succeed(&["report", "out", "--format", "html"]), page);
    let summary = fs::read_to_string(bench.path("out/summary.csv")).unwrap();
    assert_eq!(bench.succeed(&["report", "out", "--format", "csv"]), summary);
    let markdown = bench.succeed(&["report", "out", "--format", "md"]);
    assert!(markdown.contains("## Results") && !markdown.contains("![]") && !markdown.contains("plots/accuracy"));
    let json: serde_json::Value = serde_json::from_str(&bench.succeed(&["report", "out", "--format", "json"])).unwrap();
    assert_eq!(json["models"][0]["model"], "vit");
    assert_eq!(json["answers"][0]["question"], "Most accurate");
    assert_eq!(bench.listing(), before);
    assert_eq!(bench.vitbench(&["report", "out", "--format", "md", "--open"]).status.code(), Some(2));
}

#[test]
fn pictures_are_kept_only_where_the_config_lets_them() {
    let bench = Bench::new(CONFIG);
    bench.succeed(&["run", "plan.toml", "--out", "out", "--set", "data.keep_images=false"]);
    assert!(!only_run(&bench.path("out"), "vit").join("images.png").exists());
    assert!(!fs::read_to_string(bench.path("out/report.html")).unwrap().contains("data:image/png"));
}

#[test]
fn old_names_are_refused_with_the_new_ones() {
    let bench = Bench::new(CONFIG);
    assert!(bench.refused(&["calibrate", "--repetitions", "3"]).contains("run `vitbench noise`"));
    for command in ["run", "plan", "time", "summary"] {
        let message = bench.refused(&[command, "plan.toml", "--set", "model.0.projected_len=4"]);
        assert!(message.contains("model.0.projected_len") && message.contains("write `k`"), "{command}: {message}");
    }
}
