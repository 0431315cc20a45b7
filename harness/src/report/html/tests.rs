//! The page is a function of the records, escapes hostile names, stays small, and works in a browser.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::tests::{material, of_folder, records};
use super::super::write;
use super::*;
use crate::results::ResultsFolder;
use crate::results::fixture::{self, Model};
use tempfile::TempDir;

/// Names that would do harm if they were interpreted as anything but text.
const HOSTILE: [&str; 5] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(2)>'",
    "{{ 7 * 7 }}{% raw %}</style></title>",
    "=HYPERLINK(\"http://example.org\")",
    "emoji 😀 模型 \u{202e}gnp.exe",
];

/// A folder with a sweep of `models` models with three seeds each, including hostile names and a name of 300 characters.
fn sweep(models: usize, epochs: usize) -> (TempDir, ResultsFolder) {
    let (temporary, folder) = fixture::empty_folder();
    let long = "very-long-name-".repeat(20);
    for index in 0..models {
        let name = match index {
            0..5 => HOSTILE[index].to_owned(),
            5 => long.clone(),
            _ => format!("vit-d{}-h{}", 32 * (1 + index % 12), 1 + index / 12),
        };
        let model = Model {
            name,
            run: format!("model{index:03}"),
            architecture: ["vit", "linformer", "conv_vit"][index % 3],
            params: 20_000 + 9_000 * index,
            top1: (600 + 3 * (index * 37 % models)) as f64 / 1000.0 * 0.9,
            images_per_s: 40.0 * 1.07_f64.powi((index * 29 % models) as i32),
        };
        for seed in 0..3 {
            fixture::add_done(&folder, &model, seed, epochs);
        }
    }
    fixture::add_failed(
        &folder,
        &Model { run: "failed".to_owned(), ..fixture::models().into_iter().next().unwrap() },
        9,
    );
    (temporary, folder)
}

#[test]
fn hostile_names_do_no_harm() {
    let (_temporary, folder) = sweep(7, 3);
    let records = records(folder.read_runs(&[]).unwrap());
    let page = page(&material(&records)).unwrap();
    assert_eq!(page.matches("<script").count(), 1, "ours");
    assert!(!page.contains("<img src=x") && !page.contains("onerror=alert(2)>'<"));
    assert_eq!(page.matches("</style>").count(), 1);
    assert!(page.contains("&#60;script&#62;alert(1)"), "by the templates");
    assert!(page.contains("&lt;script&gt;alert(1)"), "in plots");
    assert!(page.contains("{{ 7 * 7 }}"), "a name is no template");
    // In `data:` links, where all characters but the harmless ones are percent-encoded.
    assert!(page.contains("%27%3DHYPERLINK"), "a formula is text");
}

#[test]
fn a_page_is_a_function_of_the_records() {
    let (_temporary, folder) = fixture::folder();
    let records = records(folder.read_runs(&fixture::order()).unwrap());
    let first = page(&material(&records)).unwrap();
    assert!(first == page(&material(&records)).unwrap());
    for part in
        ["Most accurate", "No winner", "What a training step spends its time on", "class-3", "diverged in epoch 2"]
    {
        assert!(first.contains(part), "{part}");
    }
    assert!(!first.contains("http:") && !first.contains("https:"), "the page refers to no other file");
}

#[test]
fn a_page_without_a_completed_run_says_so() {
    let (_temporary, folder) = fixture::empty_folder();
    fixture::add_failed(&folder, &fixture::models()[0], 0);
    let records = records(folder.read_runs(&[]).unwrap());
    assert!(page(&material(&records)).unwrap().contains("No run was completed, so there is no verdict."));
}

#[test]
fn the_page_of_300_runs_is_small() {
    let (_temporary, folder) = sweep(100, 20);
    let records = records(folder.read_runs(&[]).unwrap());
    assert_eq!(records.runs.ended.len(), 301);
    let start = std::time::Instant::now();
    let page = page(&material(&records)).unwrap();
    println!("{} bytes in {:?}", page.len(), start.elapsed());
    assert!(page.len() < 8_000_000, "{} bytes", page.len());
}

/// Opens the reports of the published quick comparison and of a sweep of 60 runs in a headless Chromium, which `tests/browser/check.mjs`
/// drives. Without Chromium, or if `npm ci` was not run there, it reports that it was skipped.
#[test]
fn browsers_show_the_pages() {
    const WHAT: &str = "the report in a browser";
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let browser = manifest.join("tests/browser");
    let Some((chromium, node)) = on_path(&["chromium", "chromium-browser", "google-chrome"]).zip(on_path(&["node"]))
    else {
        testing::skipped(WHAT, "Chromium or Node.js is not installed");
        return;
    };
    if !browser.join("node_modules").is_dir() {
        testing::skipped(WHAT, "run `npm ci` in harness/tests/browser first");
        return;
    }
    let shots = manifest.join("../target/browser");
    fs::create_dir_all(&shots).unwrap();
    let (_temporary, folder) = sweep(20, 12);
    write(folder.path(), &of_folder(&folder, &[])).unwrap();
    let quick = copy_of(&manifest.join("../results/published/quick"));
    let quick_folder = ResultsFolder::open(quick.path()).unwrap();
    write(quick_folder.path(), &of_folder(&quick_folder, &["vit", "linformer", "conv_vit"].map(str::to_owned)))
        .unwrap();
    let pages = [(quick.path(), "quick"), (folder.path(), "sweep")].map(|(folder, name)| {
        let page = shots.join(format!("{name}.html"));
        fs::copy(folder.join("report.html"), &page).unwrap();
        page
    });
    let output =
        Command::new(node).arg(browser.join("check.mjs")).arg(chromium).arg(&shots).args(pages).output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{said}");
    println!("{said}");
}

fn on_path(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|file| file.is_file())
}

/// A copy of a folder's records, so that the test does not write to the original.
fn copy_of(folder: &Path) -> TempDir {
    let copy = TempDir::new().unwrap();
    for entry in walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap) {
        let to = copy.path().join(entry.path().strip_prefix(folder).unwrap());
        if entry.file_type().is_dir() {
            fs::create_dir_all(to).unwrap();
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
    copy
}
