//! `docs/FORMAT.md` against what the program writes: every file, column and key that is written is documented, and everything
//! that is documented is written.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use regex::Regex;
use serde_json::Value;

mod bench;

use bench::Bench;

const DOCUMENT: &str = include_str!("../../docs/FORMAT.md");

/// Two models with averaged weights, on an image folder with a damaged file.
const CONFIG: &str = "[data]\ndataset = 'image_folder'\npath = 'dots'\nimage_size = 8\non_bad_file = 'exclude'\n\
    keep_images = true\ntest_fraction = 0.5\n[train]\nepochs = 2\nbatch_size = 4\noptimizer = { kind = 'adamw' }\nlr = 0.001\n\
    ema = { decay = 0.9 }\n[measure]\nwarmup_seconds = 0.0\nmin_samples = 2\nmin_seconds = 0.0\nmax_seconds = 0.1\n\
    [[model]]\nname = 'vit'\narchitecture = 'vit'\npatch_size = 4\nd_model = 8\ndepth = 1\nheads = 1\nd_ff = 8\n\
    [[model]]\nname = 'conv'\narchitecture = 'conv_vit'\npatch_size = 4\nd_model = 8\ndepth = 1\nhead_channels = 8\nd_ff = 8\n";

/// In place of the learning rate: a run that diverges in its second epoch, after the first left a checkpoint.
const DIVERGING: &str =
    "schedule = { kind = 'piecewise_linear', points = [[0, 0.001], [1, 0.001], [1.5, 1e30], [2, 1e30]] }\n";

/// The same models without images, for `vitbench time`.
const TIMED: &str = "[train]\noptimizer = { kind = 'adamw' }\n[measure]\nmax_seconds = 0.1\n\
    [[model]]\nname = 'vit'\nimage_size = 8\nclasses = 2\nbatch_size = 4\n\
    architecture = 'vit'\npatch_size = 4\nd_model = 8\ndepth = 1\nheads = 1\nd_ff = 8\n";

/// Words of the document that stand for any text, so that `macs_PART` is any column that starts with `macs_`.
const PLACEHOLDERS: [&str; 8] = ["EPOCHS", "FIGURE", "FILE", "NAME", "PART", "RUN", "STEPS", "TASK"];

fn pattern(name: &str) -> Regex {
    let mut pattern = regex::escape(name);
    for word in PLACEHOLDERS {
        pattern = pattern.replace(word, "[^/]+");
    }
    Regex::new(&format!("^{pattern}$")).unwrap()
}

/// The names in backticks at the start of a line of the document.
fn names(line: &str) -> Vec<String> {
    line.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// What the document says: by file, the names of its columns or keys.
fn documented() -> BTreeMap<String, Vec<String>> {
    let mut sections = BTreeMap::new();
    let mut files: Vec<String> = Vec::new();
    for line in DOCUMENT.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            files = names(heading);
            for file in &files {
                assert!(sections.insert(file.clone(), Vec::new()).is_none(), "`{file}` is described twice");
            }
        } else if line.starts_with("| `") {
            let name = names(line).swap_remove(0);
            for file in &files {
                sections.get_mut(file).unwrap().push(name.clone());
            }
        }
    }
    sections
}

/// The columns of a CSV file.
fn columns(text: &[u8]) -> Vec<String> {
    csv::Reader::from_reader(text).headers().unwrap().iter().map(str::to_owned).collect()
}

/// The paths of all values of a record, with `list[].key` for the objects of a list.
fn keys(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                keys(value, &if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, found);
            }
        }
        Value::Array(values) if values.iter().any(Value::is_object) => {
            values.iter().for_each(|value| keys(value, &format!("{path}[]"), found));
        }
        _ => _ = found.insert(path.to_owned()),
    }
}

fn json_keys(text: &[u8]) -> Vec<String> {
    let mut found = BTreeSet::new();
    keys(&serde_json::from_slice(text).unwrap(), "", &mut found);
    found.into_iter().collect()
}

/// A folder of 16 images in two classes, of which one cannot be decoded.
fn write_images(folder: &Path) {
    for class in ["left", "right"] {
        fs::create_dir_all(folder.join(class)).unwrap();
        for index in 0..8_u8 {
            // The same in both classes, so that some are misclassified and their pictures kept.
            let image = image::RgbImage::from_pixel(8, 8, image::Rgb([30 * index; 3]));
            image.save(folder.join(class).join(format!("{index}.png"))).unwrap();
        }
    }
    fs::write(folder.join("left/damaged.png"), "no image").unwrap();
}

/// What is in a folder of results: by file, the names of its columns or keys.
fn contents(root: &Path) -> BTreeMap<String, Vec<String>> {
    let entries = walkdir::WalkDir::new(root).into_iter().map(Result::unwrap);
    let names = |path: &Path| match path.extension().and_then(|extension| extension.to_str()) {
        Some("csv") => {
            let mut columns = columns(&fs::read(path).unwrap());
            assert_eq!(columns.remove(0), "schema", "{}", path.display());
            columns
        }
        Some("json") => json_keys(&fs::read(path).unwrap()),
        _ => Vec::new(),
    };
    let entry = |entry: walkdir::DirEntry| {
        let path = entry.path().strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
        // What is in a checkpoint is for the same version of the program alone.
        let names = if path.contains("/checkpoint/") { Vec::new() } else { names(entry.path()) };
        (path, names)
    };
    entries.filter(|entry| entry.file_type().is_file()).map(entry).collect()
}

/// What the program writes: by file or command, the names of its columns or keys.
fn written() -> BTreeMap<String, Vec<String>> {
    let bench = Bench::new(CONFIG);
    write_images(&bench.path("data/dots"));
    fs::write(bench.path("diverging.toml"), CONFIG.replace("lr = 0.001\n", DIVERGING)).unwrap();
    fs::write(bench.path("timed.toml"), TIMED).unwrap();
    bench.succeed(&["run", "plan.toml", "--data-dir", "data", "--out", "done"]);
    // A run's list of files is one that a plan can be given.
    let list = bench::only_run(&bench.path("done"), "vit").join("files.csv");
    let files = format!("data.files={}", list.display());
    bench.succeed(&["run", "plan.toml", "--data-dir", "data", "--set", &files, "--out", "listed"]);
    bench.succeed(&["noise", "--repetitions", "3", "--seconds", "0", "--into", "done"]);
    bench.succeed(&["slurm", "plan.toml", "--data-dir", "data", "--out", "done"]);
    let failed = bench.vitbench(&["run", "diverging.toml", "--data-dir", "data", "--out", "failed"]);
    assert_eq!(failed.status.code(), Some(1), "{}", bench::text(&failed.stderr));

    let mut found = contents(&bench.path("done"));
    found.extend(contents(&bench.path("failed/runs")).into_iter().map(|(path, names)| (format!("runs/{path}"), names)));
    found.extend(contents(&bench.path("listed")).remove_entry("files.csv"));
    for (name, arguments) in [
        ("plan", &["plan", "plan.toml", "--data-dir", "data", "--no-estimate"][..]),
        ("time", &["time", "timed.toml"]),
        ("compare", &["compare", "done:vit", "done:conv"]),
        ("summary", &["summary", "timed.toml"]),
    ] {
        let csv = bench.succeed(&[arguments, &["--format", "csv"]].concat());
        found.insert(format!("vitbench {name} --format csv"), columns(csv.as_bytes()));
    }
    let report = bench.succeed(&["report", "done", "--format", "json"]);
    found.insert("vitbench report --format json".to_owned(), json_keys(report.as_bytes()));
    found
}

#[test]
fn the_document_describes_every_file_column_and_key() {
    let (documented, written) = (documented(), written());
    let mut problems = Vec::new();
    let mut described = BTreeSet::new();
    for (file, names) in &written {
        let Some((section, expected)) = documented.iter().find(|(section, _)| pattern(section).is_match(file)) else {
            problems.push(format!("`{file}` is not described"));
            continue;
        };
        described.insert(section.as_str());
        let patterns: Vec<Regex> = expected.iter().map(|name| pattern(name)).collect();
        for name in names.iter().filter(|name| !patterns.iter().any(|pattern| pattern.is_match(name))) {
            problems.push(format!("`{file}` has `{name}`, which is not described"));
        }
        // A file without rows has no columns to compare.
        for (name, pattern) in expected.iter().zip(patterns).filter(|_| !names.is_empty()) {
            if !names.iter().any(|name| pattern.is_match(name)) {
                problems.push(format!("`{file}` has no `{name}`"));
            }
        }
    }
    let absent = documented.keys().filter(|section| !described.contains(section.as_str()));
    problems.extend(absent.map(|section| format!("`{section}` is described and not written")));
    assert!(problems.is_empty(), "docs/FORMAT.md:\n{}", problems.join("\n"));
}
