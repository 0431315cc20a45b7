//! Sweeps that are killed, crowded, starved and interrupted.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

mod bench;

use bench::{Bench, text};

/// Runs of about a second each, most of it start and timing.
fn config(seeds: &str, more: &str) -> String {
    format!(
        "seeds = {seeds}\n[data]\ndataset = 'shapes'\nimage_size = 16\ntrain_limit = 200\ntest_limit = 20\n\
         [data.augment]\nhorizontal_flip = true\nrandom_resized_crop = {{ scale = [0.8, 1.0] }}\n\
         [train]\nepochs = 4\nbatch_size = 16\noptimizer = {{ kind = 'adamw' }}\nlr = 0.001\nema = {{ decay = 0.9 }}\n\
         [measure]\nwarmup_seconds = 0.0\nmin_samples = 2\nmin_seconds = 0.0\nmax_seconds = 0.0\n\
         [[model]]\nname = 'vit'\narchitecture = 'vit'\npatch_size = 4\nd_model = 16\ndepth = 1\nheads = 2\nd_ff = 32\n\
         dropout = {{ embeddings = 0.1, attention = 0.1, hidden = 0.1 }}\n\
         [[model]]\nname = 'conv'\narchitecture = 'conv_vit'\npatch_size = 4\nd_model = 16\ndepth = 1\nhead_channels = 8\n\
         d_ff = 32\n{more}"
    )
}

/// The rows of a table by the run's name, without the columns that hold times, memory and the like.
fn rows(folder: &Path, table: &str) -> BTreeMap<String, Vec<String>> {
    const VARY: [&str; 6] = ["seconds", "_per_s", "_s", "rss", "percent", "samples"];
    let mut reader = csv::Reader::from_path(folder.join(table)).unwrap();
    let headers = reader.headers().unwrap().clone();
    let kept: Vec<usize> =
        (0..headers.len()).filter(|at| VARY.iter().all(|vary| !headers[*at].contains(vary))).collect();
    let run = headers.iter().position(|header| header == "run").unwrap();
    let mut rows: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for record in reader.records() {
        let record = record.unwrap();
        let row = kept.iter().map(|at| record[*at].to_owned()).collect::<Vec<_>>().join(",");
        rows.entry(record[run].to_owned()).or_default().push(row);
    }
    rows
}

fn run_folders(folder: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<_> = fs::read_dir(folder.join("runs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}

fn done(folder: &Path) -> BTreeSet<PathBuf> {
    let Ok(entries) = fs::read_dir(folder.join("runs")) else { return BTreeSet::new() };
    entries.map(|entry| entry.unwrap().path()).filter(|run| run.join("done.json").is_file()).collect()
}

#[cfg(target_os = "linux")]
mod signals {
    use super::*;
    use std::os::unix::process::CommandExt;

    fn start(bench: &Bench, arguments: &[&str]) -> Child {
        let mut command = bench.command(arguments);
        // A group of its own, so that a signal to all of it spares the test.
        command.process_group(0).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    fn send(signal: &str, target: &str) {
        let status = Command::new("kill").args([signal, "--", target]).stderr(Stdio::null()).status().unwrap();
        // It fails if the target has just ended.
        let _ = status;
    }

    fn children(of: u32) -> Vec<u32> {
        let path = format!("/proc/{of}/task/{of}/children");
        let text = fs::read_to_string(path).unwrap_or_default();
        text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
    }

    fn wait_for(what: &str, condition: impl Fn() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < Duration::from_secs(120), "waited for {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn exit_code(mut child: Child) -> (ExitStatus, String) {
        let mut stderr = child.stderr.take().unwrap();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut stderr, &mut bytes).unwrap();
        (child.wait().unwrap(), text(&bytes))
    }

    /// Kills at random moments: the whole group, the supervisor alone, or a worker alone. `VITBENCH_KILLS` says how many.
    #[test]
    fn kills_lose_nothing_that_was_finished_and_change_no_table() {
        let kills: usize = std::env::var("VITBENCH_KILLS").map_or(8, |kills| kills.parse().unwrap());
        let bench = Bench::new(&config("[0, 1, 2]", "[sweep]\ntrain.lr = [0.001, 0.01]\n"));
        bench.succeed(&["run", "plan.toml", "--out", "straight"]);
        let straight = bench.path("straight");
        assert_eq!(run_folders(&straight).len(), 12);

        let again = ["run", "plan.toml", "--out", "killed", "--retry", "failed"];
        let killed = bench.path("killed");
        let mut random = SmallRng::seed_from_u64(1);
        let mut finished = BTreeSet::new();
        let mut made = 0;
        let mut victims = [0; 3];
        while made < kills {
            victims[start_and_kill(&bench, &again, &mut random)] += 1;
            made += 1;
            let now = done(&killed);
            assert!(finished.is_subset(&now), "after {made} kills, {:?} is lost", finished.difference(&now));
            finished = now;
            if finished.len() == 12 && made < kills {
                // More kills were asked for than the sweep takes: let it do some runs once more.
                for run in finished.iter().take(6) {
                    fs::remove_dir_all(run).unwrap();
                }
                finished = done(&killed);
            }
        }
        // Workers that outlived their supervisor for a moment hold their locks.
        wait_for("the last run", || {
            bench.vitbench(&again);
            done(&killed).len() == 12
        });
        let report = bench.succeed(&["run", "plan.toml", "--out", "killed"]);
        println!("{made} kills (group, supervisor, worker: {victims:?}): all 12 runs are there");
        assert!(report.contains("All 12 runs are already in"), "{report}");
        assert_same_results(&straight, &killed);
    }

    /// Starts the command, kills the whole group (0), the supervisor (1) or a worker (2) at a random moment, and answers which.
    fn start_and_kill(bench: &Bench, command: &[&str], random: &mut SmallRng) -> usize {
        let mut child = start(bench, command);
        std::thread::sleep(Duration::from_millis(random.random_range(0..2500)));
        let pid = child.id();
        let workers = children(pid);
        let victim = random.random_range(0..3);
        match (victim, workers.first()) {
            (1, _) => send("-KILL", &pid.to_string()),
            (0, _) | (_, None) => send("-KILL", &format!("-{pid}")),
            (_, Some(worker)) => {
                send("-KILL", &worker.to_string());
                std::thread::sleep(Duration::from_millis(random.random_range(0..300)));
                send("-KILL", &format!("-{pid}"));
            }
        }
        child.wait().unwrap();
        victim
    }

    /// The killed sweep has the tables, predictions and weights of the one that was left alone, and trained no epoch twice.
    fn assert_same_results(straight: &Path, killed: &Path) {
        for table in ["summary.csv", "epochs.csv"] {
            assert_eq!(rows(straight, table), rows(killed, table), "{table}");
        }
        let models = |folder: &Path| fs::read(folder.join("models.csv")).unwrap();
        assert_eq!(models(straight), models(killed));
        for run in run_folders(killed) {
            let straight = straight.join("runs").join(run.file_name().unwrap());
            for file in ["predictions.csv", "weights.safetensors"] {
                assert!(
                    fs::read(run.join(file)).unwrap() == fs::read(straight.join(file)).unwrap(),
                    "{file} of {run:?}"
                );
            }
            assert!(!run.join("checkpoint").exists(), "{run:?} kept its checkpoints");
            let log = fs::read_to_string(run.join("run.log")).unwrap();
            // An epoch's checkpoint is written before the epoch is told, so that none is ever trained twice.
            for epoch in 1..=4 {
                let told = log.matches(&format!("epoch   {epoch}/4")).count();
                assert!(told <= 1, "{run:?} trained epoch {epoch} {told} times:\n{log}");
            }
        }
    }

    #[test]
    fn signals_end_a_sweep_between_two_steps_and_the_same_command_goes_on() {
        let plan = config("[0]", "").replace("epochs = 4", "epochs = 4000").replace("[sweep]", "");
        let bench = Bench::new(&plan);
        let run = ["run", "plan.toml", "--out", "out"];
        let logs = || {
            let Ok(folders) = fs::read_dir(bench.path("out/runs")) else { return String::new() };
            let logs = folders.map(|run| fs::read_to_string(run.unwrap().path().join("run.log")).unwrap_or_default());
            logs.collect::<String>()
        };
        for (signal, code, group) in
            [("-INT", 130, true), ("-TERM", 143, false), ("-USR1", 143, false), ("-INT", 130, false)]
        {
            let before = logs().lines().count();
            let child = start(&bench, &run);
            wait_for("an epoch", || logs().lines().count() > before + 2);
            let pid = child.id();
            // A terminal sends its signals to the whole group.
            send(signal, &if group { format!("-{pid}") } else { pid.to_string() });
            let (status, message) = exit_code(child);
            assert_eq!(status.code(), Some(code), "{signal}: {message}");
            assert!(
                message.contains("stopped; the same command resumes from the last checkpoint"),
                "{signal}: {message}"
            );
            let folder = &run_folders(&bench.path("out"))[0];
            assert!(!folder.join("failed.json").exists() && !folder.join("done.json").exists());
            assert!(folder.join("checkpoint").is_dir());
        }
        assert_eq!(logs().matches("resumes ").count(), 3, "{}", logs());
    }

    #[test]
    fn a_second_interrupt_ends_at_once() {
        let plan = config("[0]", "").replace("epochs = 4", "epochs = 4000");
        let bench = Bench::new(&plan);
        let child = start(&bench, &["run", "plan.toml", "--out", "out"]);
        let log = || run_folders(&bench.path("out")).first().is_some_and(|run| run.join("run.log").exists());
        wait_for("the log", || bench.path("out/runs").is_dir() && log());
        let pid = child.id();
        send("-INT", &format!("-{pid}"));
        send("-INT", &format!("-{pid}"));
        assert_eq!(exit_code(child).0.code(), Some(130));
    }
}

#[test]
fn sixteen_processes_with_the_shards_of_a_plan_make_every_row_once() {
    let bench = Bench::new(&config("[0, 1, 2]", "[sweep]\ntrain.lr = [0.001, 0.01, 0.1]\n"));
    let shard = |part: usize| {
        let shard = format!("{part}/16");
        let mut command = bench.command(&["run", "plan.toml", "--out", "out", "--threads", "1", "--shard", &shard]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<Child> = (1..=16).map(shard).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    let rows = rows(&bench.path("out"), "summary.csv");
    assert_eq!(rows.len(), 18);
    assert!(rows.values().all(|rows| rows.len() == 1 && rows[0].contains(",done,")), "{rows:?}");
    assert!(bench.path("out/report.md").is_file(), "the last one makes the report");
}

#[test]
fn a_run_that_fails_is_a_row_and_the_others_are_as_without_it() {
    // The greatest model needs 600 MB for weights, gradients and moments; its neighbours a tenth of that.
    let models = "[[model]]\nname = 'huge'\narchitecture = 'vit'\npatch_size = 4\nd_model = 1024\ndepth = 4\nheads = 2\nd_ff = 4096\n\
                  [sweep]\ntrain.lr = [0.001, 1e30]\nexclude = [{ model = 'huge', train.lr = 1e30 }]\n";
    let bench = Bench::new(&config("[0]", models));
    let output = bench.vitbench(&["run", "plan.toml", "--out", "out", "--max-memory", "400MiB"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("3 of 5 runs failed"), "{}", text(&output.stderr));
    let found = rows(&bench.path("out"), "summary.csv");
    let row = |name: &str| &found.iter().find(|(run, _)| run.starts_with(name)).unwrap().1[0];
    assert!(
        row("huge").contains(",out_of_memory,the run needs") && row("huge").contains("allows 400 MiB"),
        "{}",
        row("huge")
    );
    assert!(row("vit_lr_1e30").contains(",diverged,"), "{}", row("vit_lr_1e30"));

    // Alone, the models that were well find the same.
    fs::write(
        bench.path("alone.toml"),
        config("[0]", "[sweep]\ntrain.lr = [0.001, 1e30]\nexclude = [{ train.lr = 1e30 }]\n"),
    )
    .unwrap();
    bench.succeed(&["run", "alone.toml", "--out", "alone"]);
    for (run, alone) in rows(&bench.path("alone"), "summary.csv") {
        assert_eq!(found[&run], alone);
    }

    // What failed is tried again only when that is asked for.
    let log = |name: &str| {
        let run = run_folders(&bench.path("out")).into_iter().find(|run| run.to_string_lossy().contains(name)).unwrap();
        fs::read_to_string(run.join("run.log")).unwrap()
    };
    let before = log("vit_lr_1e30");
    assert_eq!(bench.vitbench(&["run", "plan.toml", "--out", "out"]).status.code(), Some(1));
    assert_eq!(log("vit_lr_1e30"), before);
    let retry = ["run", "plan.toml", "--out", "out", "--retry", "failed", "--max-memory", "400MiB"];
    assert_eq!(bench.vitbench(&retry).status.code(), Some(1));
    assert!(log("vit_lr_1e30").len() > before.len());
}

#[test]
fn a_run_that_panics_is_a_row_with_its_last_words() {
    // No list of images is as long as the second of these batches, in which steps are timed.
    let sweep = "[sweep]\ntrain.batch_size = [8, 4611686018427387904]\nexclude = [{ model = 'conv' }]\n";
    let bench = Bench::new(&config("[0]", sweep));
    let output = bench.vitbench(&["run", "plan.toml", "--out", "out"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let rows: Vec<String> = rows(&bench.path("out"), "summary.csv").into_values().flatten().collect();
    let [done, crashed] = &rows[..] else { panic!("two rows: {rows:?}") };
    let (done, crashed) = if done.contains(",done,") { (done, crashed) } else { (crashed, done) };
    assert!(done.contains(",done,"), "{done}");
    assert!(crashed.contains(",crashed,") && crashed.contains("panicked: capacity overflow"), "{crashed}");
}

#[test]
fn a_run_that_takes_too_long_is_a_row() {
    let bench = Bench::new(&config("[0]", "").replace("epochs = 4", "epochs = 100000"));
    let output = bench.vitbench(&["run", "plan.toml", "--out", "out", "--max-time", "1s", "--jobs", "2"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let rows = rows(&bench.path("out"), "summary.csv");
    assert!(rows.values().all(|rows| rows[0].contains(",out_of_time,")), "{rows:?}");
}

#[test]
fn a_sweep_may_grow_and_does_what_is_new() {
    let bench = Bench::new(&config("[0]", "[sweep]\ntrain.lr = [0.001]\n"));
    bench.succeed(&["run", "plan.toml", "--out", "out"]);
    let first = done(&bench.path("out"));
    let other = config("[0]", "[sweep]\ntrain.lr = [0.002]\n");
    fs::write(bench.path("other.toml"), other).unwrap();
    let message = bench.refused(&["run", "other.toml", "--out", "out"]);
    assert!(message.contains("the folder holds the results of a different config"), "{message}");
    fs::write(bench.path("plan.toml"), config("[0, 1]", "[sweep]\ntrain.lr = [0.001]\n")).unwrap();
    bench.succeed(&["run", "plan.toml", "--out", "out"]);
    let second = done(&bench.path("out"));
    assert!(first.is_subset(&second) && second.len() == 2 * first.len());
}

#[test]
fn only_the_named_runs_are_done_and_plan_names_them() {
    let bench = Bench::new(&config("[0]", "[sweep]\ntrain.lr = [0.001, 0.01]\n"));
    let plan = bench.succeed(&["plan", "plan.toml", "--no-estimate", "--format", "csv"]);
    let names: Vec<String> =
        csv::Reader::from_reader(plan.as_bytes()).records().map(|row| row.unwrap()[0].to_owned()).collect();
    assert_eq!(names.len(), 4);
    bench.succeed(&["run", "plan.toml", "--out", "out", "--only", &names[1], "--only", &names[2]]);
    let runs: BTreeSet<String> =
        done(&bench.path("out")).iter().map(|run| run.file_name().unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(runs, BTreeSet::from([names[1].clone(), names[2].clone()]));
    let message = bench.refused(&["run", "plan.toml", "--out", "out", "--only", "vit-s0-0123456789"]);
    assert!(message.contains("the plan has no such run"), "{message}");
}

/// Every run of a sweep fills a small disk; what was finished stays, and with more room the rest follows.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_costs_nothing_that_was_finished() {
    let bench = Bench::new(&config("[0, 1, 2, 3, 4, 5]", ""));
    let disk = bench.path("disk");
    fs::create_dir(&disk).unwrap();
    let mount = |options: &str| {
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(&disk)
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    };
    if !mount("size=400k") {
        testing::skipped("a sweep that fills its disk", "a tmpfs cannot be mounted here");
        return;
    }
    let output = bench.vitbench(&["run", "plan.toml", "--out", "disk/out"]);
    let before = done(&bench.path("disk/out"));
    let (message, code) = (text(&output.stderr), output.status.code());
    assert!(mount("remount,size=100m"), "the disk can grow");
    let again = bench.vitbench(&["run", "plan.toml", "--out", "disk/out"]);
    let after = done(&bench.path("disk/out"));
    // A disk that can only be read: what is there is left alone, and what is missing is refused.
    fs::write(bench.path("plan.toml"), config("[0, 1, 2, 3, 4, 5, 6]", "")).unwrap();
    assert!(mount("remount,ro"), "the disk can be closed");
    let closed = bench.vitbench(&["run", "plan.toml", "--out", "disk/out"]);
    let still = done(&bench.path("disk/out"));
    let unmounted = Command::new("umount").arg(&disk).status().unwrap();
    assert!(unmounted.success());
    assert_eq!(code, Some(2), "{message}");
    assert!(message.contains("No space left on device"), "{message}");
    assert!(!before.is_empty() && before.len() < 12, "{} runs were finished before the disk was full", before.len());
    assert!(again.status.success(), "{}", text(&again.stderr));
    assert!(before.is_subset(&after) && after.len() == 12);
    assert_eq!(closed.status.code(), Some(2));
    assert!(text(&closed.stderr).contains("Read-only file system"), "{}", text(&closed.stderr));
    assert_eq!(after, still);
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let bench = Bench::new(&config("[0]", ""));
    fs::write(bench.path("file"), "no folder").unwrap();
    let output = bench.vitbench(&["run", "plan.toml", "--out", "file/out"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("file/out"), "{}", text(&output.stderr));
}
