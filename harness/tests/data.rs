//! The commands about data as users meet them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use image::{Rgb, RgbImage};
use tempfile::TempDir;

const CONFIG: &str = r#"
[data]
dataset = "image_folder"
path = "pets"
image_size = 8
val_fraction = 0.0

[train]
epochs = 1
batch_size = 4
optimizer = { kind = "sgd" }
lr = 0.001
evaluate_on = "test"

[measure]
warmup_seconds = 0.0
min_samples = 3
min_seconds = 0.0
max_seconds = 0.0

[[model]]
architecture = "vit"
patch_size = 4
d_model = 8
depth = 1
heads = 2
d_ff = 8
"#;

/// A folder of photos, one of them bad, and a config that names it.
fn bench() -> TempDir {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("plan.toml"), CONFIG).unwrap();
    for split in ["train", "test"] {
        for (index, class) in ["cat", "dog"].into_iter().enumerate() {
            let folder = dir.path().join("pets").join(split).join(class);
            fs::create_dir_all(&folder).unwrap();
            for number in 0..6_u8 {
                let value = 100 * index as u8 + number + if split == "test" { 50 } else { 0 };
                RgbImage::from_pixel(9, 9, Rgb([value; 3])).save(folder.join(format!("{number}.png"))).unwrap();
            }
        }
    }
    fs::write(dir.path().join("pets/train/cat/3.png"), "no image").unwrap();
    dir
}

fn vitbench(dir: &Path, arguments: &[&str]) -> (Output, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_vitbench"))
        .current_dir(dir)
        .env_remove("VITBENCH_DATA")
        .env("XDG_CACHE_HOME", dir.join("cache"))
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned();
    (output, text)
}

#[test]
fn a_bad_file_stops_a_run_or_is_left_out_and_recorded() {
    let dir = bench();
    let run = |more: &[&str]| {
        vitbench(dir.path(), &[&["run", "plan.toml", "--data-dir", ".", "--out", "out"], more].concat())
    };
    let (output, text) = run(&[]);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("train/cat/3.png: not a JPEG") && text.contains("on_bad_file"), "{text}");
    assert!(!dir.path().join("out").exists());

    let (output, text) = run(&["--set", "data.on_bad_file=exclude"]);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 files cannot be decoded and are left out"), "{text}");
    let runs = fs::read_dir(dir.path().join("out/runs")).unwrap().map(|run| run.unwrap().path());
    let runs: Vec<PathBuf> = runs.collect();
    let list = fs::read_to_string(runs[0].join("excluded.csv")).unwrap();
    assert_eq!(list, "schema,file,reason\n2,train/cat/3.png,\"not a JPEG, PNG or WebP file\"\n");
    let done: serde_json::Value = serde_json::from_slice(&fs::read(runs[0].join("done.json")).unwrap()).unwrap();
    assert_eq!((done["train_images"].as_u64(), done["test_images"].as_u64()), (Some(11), Some(12)));
    // Every file that was used, with its digest.
    let files = fs::read_to_string(runs[0].join("files.csv")).unwrap();
    assert_eq!(files.lines().count(), 1 + 11 + 12, "{files}");
    let first: Vec<&str> = files.lines().nth(1).unwrap().split(',').collect();
    let content = fs::read(dir.path().join("pets").join(first[1])).unwrap();
    assert_eq!((first[2], first[3], first[4]), ("cat", "train", blake3::hash(&content).to_hex().as_str()));
}

/// The config's images by a list, in a folder that is laid out differently: no splits, and more files.
#[test]
fn a_list_of_files_repeats_a_run_on_the_same_images() {
    let dir = bench();
    let path = |name: &str| dir.path().join(name);
    let only_run = |out: &str| fs::read_dir(path(out).join("runs")).unwrap().next().unwrap().unwrap().path();
    fs::remove_file(path("pets/train/cat/3.png")).unwrap();
    let (output, text) = vitbench(dir.path(), &["run", "plan.toml", "--data-dir", ".", "--out", "first"]);
    assert!(output.status.success(), "{text}");

    let mut list = "split,path,class,blake3\n".to_owned();
    for row in fs::read_to_string(only_run("first").join("files.csv")).unwrap().lines().skip(1) {
        let [_, file, class, split, digest] = row.split(',').collect::<Vec<_>>()[..] else { panic!("{row}") };
        let moved = format!("{class}/{}", file.replace('/', "-"));
        fs::create_dir_all(path("all").join(class)).unwrap();
        fs::copy(path("pets").join(file), path("all").join(&moved)).unwrap();
        list += &format!("{split},{moved},{class},{digest}\n");
    }
    fs::copy(path("pets/test/cat/0.png"), path("all/cat/unlisted.png")).unwrap();
    fs::create_dir(path("lists")).unwrap();
    fs::write(path("lists/list.csv"), &list).unwrap();
    let config = CONFIG.replace("path = \"pets\"", "path = \"all\"\nfiles = \"list.csv\"");
    fs::write(path("lists/listed.toml"), config).unwrap();
    let (output, text) = vitbench(dir.path(), &["run", "lists/listed.toml", "--data-dir", ".", "--out", "second"]);
    assert!(output.status.success(), "{text}");
    let done = |out: &str| -> serde_json::Value {
        serde_json::from_slice(&fs::read(only_run(out).join("done.json")).unwrap()).unwrap()
    };
    for key in ["data_fingerprint", "test_top1", "test_loss", "train_images"] {
        assert_eq!(done("first")[key], done("second")[key], "{key}");
        assert!(!done("first")[key].is_null(), "{key}");
    }

    // The folder keeps the list, so that its plan runs where the first list is gone, and finds its runs done.
    assert_eq!(fs::read_to_string(path("second/files.csv")).unwrap(), list);
    let plan = fs::read_to_string(path("second/plan.toml")).unwrap();
    assert!(plan.contains("files = \"files.csv\"") && !plan.contains("lists"), "{plan}");
    fs::remove_dir_all(path("lists")).unwrap();
    let (output, text) = vitbench(dir.path(), &["reproduce", "second", "--data-dir", ".", "--out", "third"]);
    assert!(output.status.success() && text.contains("1 of 1 runs are bit-identical"), "{text}");
    assert_eq!(only_run("second").file_name(), only_run("third").file_name());

    // A file with another content is not the one that was listed.
    fs::copy(path("all/dog/test-dog-0.png"), path("all/cat/train-cat-1.png")).unwrap();
    let (output, text) = vitbench(dir.path(), &["reproduce", "second", "--data-dir", ".", "--out", "fourth"]);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(
        text.contains("data.files: the content of 1 files differs from its digest there: cat/train-cat-1.png"),
        "{text}"
    );
}

#[test]
fn verify_lists_bad_files_and_says_so_by_its_exit_code() {
    let dir = bench();
    let (output, text) = vitbench(dir.path(), &["data", "verify", "pets"]);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("24 files read") && text.contains("23 good, 1 bad"), "{text}");
    let list = fs::read_to_string(dir.path().join("bad-files.csv")).unwrap();
    assert_eq!(list, "file,reason\ntrain/cat/3.png,\"not a JPEG, PNG or WebP file\"\n");
    fs::remove_file(dir.path().join("pets/train/cat/3.png")).unwrap();
    let (output, text) = vitbench(dir.path(), &["data", "verify", "pets"]);
    assert!(output.status.success() && text.contains("23 good, 0 bad"), "{text}");
    let (output, text) = vitbench(dir.path(), &["data", "verify", "nowhere"]);
    assert_eq!(output.status.code(), Some(2), "{text}");
}

#[test]
fn info_and_list_tell_what_is_there() {
    let dir = bench();
    let (output, text) = vitbench(dir.path(), &["data", "info", "pets"]);
    assert!(output.status.success(), "{text}");
    for part in ["classes 2: cat, dog", "train   12 images", "PNG, RGB: 23", "1 files cannot be read", "fingerprint"] {
        assert!(text.contains(part), "no `{part}` in:\n{text}");
    }
    let (_, text) = vitbench(dir.path(), &["data", "list", "--data-dir", "."]);
    for part in ["shapes", "vitbench data fetch cifar10", "vitbench data fetch cats-vs-dogs", "pets"] {
        assert!(text.contains(part), "no `{part}` in:\n{text}");
    }
}

#[test]
fn what_cannot_be_fetched_is_refused() {
    let dir = bench();
    for (arguments, code, problem) in [
        (&["cats-vs-dogs"][..], 2, "needs an account"),
        (&["cifar10", "--from", "nowhere.tar.gz"], 2, "no such file"),
        (&["cifar10", "--from", "http://127.0.0.1:9/x"], 2, "does not use HTTPS"),
        (&["cifar10", "--from", "plan.toml"], 3, "cannot be read"),
        (&["cats-vs-dogs", "--from", "plan.toml"], 3, "cannot be read"),
        (&["mnist"], 2, "possible values: cifar10, cifar100, cats-vs-dogs"),
    ] {
        let (output, text) = vitbench(dir.path(), &[&["data", "fetch", "--to", "data"], arguments].concat());
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(problem), "{problem}: {text}");
        assert!(!dir.path().join("data/cifar10").exists() && !dir.path().join("data/cats-vs-dogs").exists());
    }
}
