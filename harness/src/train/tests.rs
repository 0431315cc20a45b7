//! Runs that are interrupted and resumed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::config::{self, RunConfig};
use crate::data::{self, Dataset};
use crate::lanes::Lanes;
use crate::measure::Machine;
use crate::results::ResultsFolder;
use crate::run_folder;

/// The three architectures, with everything random switched on, and recipes whose optimisers keep different state.
const MODELS: [(&str, &str); 3] = [
    (
        "optimizer = { kind = 'adamw' }\nclip_norm = 0.5",
        "architecture = 'vit'\npatch_size = 4\nd_model = 24\ndepth = 2\nheads = 3\nd_ff = 40\n\
         dropout = { embeddings = 0.1, attention = 0.2, hidden = 0.3 }",
    ),
    (
        "optimizer = { kind = 'muon' }\ndecay = 'matrices'\nema = { decay = 0.9 }",
        "architecture = 'linformer'\npatch_size = 4\nd_model = 20\ndepth = 2\nheads = 5\nd_ff = 36\nk = 7",
    ),
    (
        "optimizer = { kind = 'sgd', momentum = 0.9 }\nema = { decay = 0.99 }",
        "architecture = 'conv_vit'\npatch_size = 2\nd_model = 16\ndepth = 2\nhead_channels = 4\nd_ff = 32",
    ),
];

fn run_config((recipe, model): (&str, &str)) -> RunConfig {
    let text = format!(
        "[data]\ndataset = 'shapes'\nimage_size = 16\ntrain_limit = 100\ntest_limit = 30\nval_fraction = 0.2\n\
         [data.augment]\nhorizontal_flip = true\nrandom_resized_crop = {{ scale = [0.5, 1.0] }}\n\
         rand_augment = {{ operations = 1, magnitude = 5 }}\nmixup = {{ alpha = 0.4 }}\nrandom_erasing = {{ probability = 0.5 }}\n\
         [train]\nepochs = 10\nbatch_size = 12\nlr = 0.01\nschedule = {{ kind = 'cosine', warmup_epochs = 1 }}\n{recipe}\n\
         [measure]\nwarmup_seconds = 0.0\nmin_samples = 1\nmin_seconds = 0.0\n[[model]]\n{model}\n"
    );
    config::parse(&text, "test", &[]).unwrap().runs().remove(0)
}

/// Decides whether to stop a run, given the number of steps that it has made.
type StopAfter<'a> = &'a mut dyn FnMut(usize) -> bool;

/// Makes one attempt at the run and also returns its remarks.
fn attempt(
    config: &RunConfig,
    dataset: &Dataset,
    results: &ResultsFolder,
    threads: usize,
    stop_after: StopAfter<'_>,
) -> (Outcome, Vec<String>) {
    let identity = run_folder::identity(config, &dataset.fingerprint, 2);
    let folder = results.run(&identity.run);
    let (lanes, stop, machine) = (Lanes::new(threads), AtomicBool::new(false), Machine::this().unwrap());
    let context = RunContext {
        config,
        dataset,
        device: &config.device.open().unwrap(),
        lanes: &lanes,
        timing_lanes: &lanes,
        machine: &machine,
        jobs: 1,
        stop: &stop,
        checkpoint_every: Duration::from_secs(3600),
        folder: &folder,
        identity,
        started: Instant::now(),
    };
    let (mut remarks, mut steps) = (Vec::new(), 0);
    let outcome = run(&context, &mut |event| match event {
        Event::Step { .. } => {
            steps += 1;
            stop.store(stop_after(steps), Ordering::Relaxed);
        }
        Event::Remark(text) => remarks.push(text.to_owned()),
        _ => {}
    });
    (outcome.unwrap(), remarks)
}

/// What a run leaves behind, apart from times.
fn left(results: &ResultsFolder) -> BTreeMap<String, Vec<u8>> {
    let folders = results.run_folders().unwrap();
    let [folder] = &folders[..] else { panic!("one run") };
    let read = |file: &str| fs::read(folder.path().join(file)).unwrap();
    let mut epochs = folder.read_epochs().unwrap().unwrap();
    for epoch in &mut epochs {
        (epoch.train_seconds, epoch.eval_seconds, epoch.train_images_per_s) = (0.0, 0.0, 0.0);
    }
    let done = folder.read_done().unwrap().unwrap();
    BTreeMap::from([
        ("weights".to_owned(), read("weights.safetensors")),
        ("predictions".to_owned(), read("predictions.csv")),
        ("epochs".to_owned(), format!("{epochs:?}").into_bytes()),
        ("batches".to_owned(), done.batch_digest.into_bytes()),
        ("test".to_owned(), format!("{:?} {:?}", done.test_loss, done.non_ema_test_loss).into_bytes()),
    ])
}

fn checkpoints(results: &ResultsFolder) -> Vec<String> {
    let folder = results.run_folders().unwrap()[0].checkpoint_path();
    if !folder.exists() {
        return Vec::new();
    }
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

fn results(folder: &Path) -> ResultsFolder {
    ResultsFolder::create_or_open(folder).unwrap()
}

#[test]
fn thirty_interruptions_change_no_bit_of_the_outcome() {
    for (index, model) in MODELS.into_iter().enumerate() {
        let config = run_config(model);
        let dataset = data::load(&config.data, None).unwrap();
        let (straight, stopped) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        attempt(&config, &dataset, &results(straight.path()), 2, &mut |_| false);
        let expected = left(&results(straight.path()));

        let mut random = SmallRng::seed_from_u64(index as u64);
        let mut interruptions = 0;
        loop {
            // The run has 70 steps in all.
            let steps = random.random_range(1..=3);
            let threads = random.random_range(1..=3);
            let again = results(stopped.path());
            let (outcome, remarks) = attempt(&config, &dataset, &again, threads, &mut |made| made >= steps);
            assert_eq!(remarks, Vec::<String>::new());
            if outcome == Outcome::Recorded {
                break;
            }
            assert!(checkpoints(&again).len() <= 2, "{:?}", checkpoints(&again));
            interruptions += 1;
        }
        assert!(interruptions >= 30, "{interruptions}");
        assert_eq!(checkpoints(&results(stopped.path())), Vec::<String>::new());
        for (what, bytes) in left(&results(stopped.path())) {
            assert!(bytes == expected[&what], "{} of {} differ after {interruptions} interruptions", what, model.1);
        }
    }
}

#[test]
fn a_damaged_checkpoint_is_named_and_the_one_before_is_used() {
    let config = run_config(MODELS[1]);
    let dataset = data::load(&config.data, None).unwrap();
    let (straight, stopped) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    attempt(&config, &dataset, &results(straight.path()), 2, &mut |_| false);
    let expected = left(&results(straight.path()));

    let again = results(stopped.path());
    let mut random = SmallRng::seed_from_u64(7);
    let files = ["model.safetensors", "average.safetensors", "optimizer.bpk", "state.json", "epochs.csv", "SHA256SUMS"];
    for (damaged, file) in files.into_iter().enumerate() {
        attempt(&config, &dataset, &again, 2, &mut |made| made >= 2);
        let last = checkpoints(&again).pop().unwrap();
        let path = again.run_folders().unwrap()[0].checkpoint_path().join(&last).join(file);
        let mut bytes = fs::read(&path).unwrap();
        match damaged % 3 {
            0 => {
                let at = random.random_range(0..bytes.len());
                bytes[at] ^= 1 << random.random_range(0..7);
                fs::write(&path, bytes).unwrap();
            }
            1 => fs::write(&path, &bytes[..bytes.len() / 2]).unwrap(),
            _ => fs::remove_file(&path).unwrap(),
        }
        let (_, remarks) = attempt(&config, &dataset, &again, 2, &mut |_| true);
        let [remark] = &remarks[..] else { panic!("{file}: {remarks:?}") };
        assert!(remark.contains(&last) && remark.contains("is damaged and is ignored"), "{file}: {remark}");
    }
    while attempt(&config, &dataset, &again, 2, &mut |_| false).0 != Outcome::Recorded {}
    assert!(left(&again) == expected, "the outcome differs");
}

#[test]
fn what_a_killed_process_left_half_written_is_cleared_away() {
    let config = run_config(MODELS[2]);
    let dataset = data::load(&config.data, None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let again = results(folder.path());
    attempt(&config, &dataset, &again, 2, &mut |made| made >= 3);
    let checkpoint = again.run_folders().unwrap()[0].checkpoint_path();
    for name in [".writing-abc", ".deleting-000000-00000001"] {
        fs::create_dir(checkpoint.join(name)).unwrap();
        fs::write(checkpoint.join(name).join("state.json"), "half").unwrap();
    }
    let (outcome, remarks) = attempt(&config, &dataset, &again, 2, &mut |_| false);
    assert_eq!((outcome, remarks.len()), (Outcome::Recorded, 0));
    assert_eq!(checkpoints(&again), Vec::<String>::new());
    assert_eq!(again.run_folders().unwrap()[0].read_done().unwrap().unwrap().resumes, 1);
}
