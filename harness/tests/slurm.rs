//! A sweep on a real Slurm cluster: `bash .ci/slow slurm`. The scripts that start one on this machine, and install Slurm if it is
//! missing, are expected in `../shared/slurm` beside the repository.

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

mod bench;

use bench::{Bench, text};

const CONFIG: &str = "seeds = [0, 1, 2]\n[data]\ndataset = 'shapes'\nimage_size = 16\ntrain_limit = 1200\ntest_limit = 40\n\
    [data.augment]\nhorizontal_flip = true\n[train]\nepochs = 60\nbatch_size = 16\noptimizer = { kind = 'adamw' }\nlr = 0.001\n\
    [measure]\nwarmup_seconds = 0.0\nmin_samples = 2\nmin_seconds = 0.0\nmax_seconds = 0.2\n[sweep]\ntrain.lr = [0.001, 0.01]\n\
    [[model]]\nname = 'vit'\narchitecture = 'vit'\npatch_size = 4\nd_model = 16\ndepth = 1\nheads = 2\nd_ff = 32\n\
    [[model]]\nname = 'conv'\narchitecture = 'conv_vit'\npatch_size = 4\nd_model = 16\ndepth = 1\nhead_channels = 8\nd_ff = 32\n";

const WHAT: &str = "a sweep on Slurm";

/// A cluster on this machine, stopped and removed in the end.
struct Cluster {
    scripts: PathBuf,
    folder: tempfile::TempDir,
    config: String,
}

impl Cluster {
    /// `None`, with the reason reported, where no cluster can be started.
    fn start() -> Option<Self> {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/slurm");
        if !scripts.is_dir() {
            testing::skipped(WHAT, "no ../shared/slurm");
            return None;
        }
        let folder = tempfile::Builder::new().prefix("slurm").tempdir_in("/tmp").unwrap();
        let output =
            Command::new("bash").arg(scripts.join("start-local-slurm.sh")).arg(folder.path()).output().unwrap();
        if !output.status.success() {
            testing::skipped(WHAT, format!("Slurm does not start: {}", text(&output.stderr)));
            return None;
        }
        let out = text(&output.stdout);
        let config =
            out.lines().find_map(|line| line.strip_prefix("export SLURM_CONF="))?.trim_matches(['\'', '"']).to_owned();
        Some(Self { scripts, folder, config })
    }

    fn slurm(&self, program: &str, arguments: &[&str]) -> String {
        let output = Command::new(program).env("SLURM_CONF", &self.config).args(arguments).output().unwrap();
        text(&output.stdout)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let stop = self.scripts.join("stop-local-slurm.sh");
        let _ = Command::new("bash").arg(stop).arg("--remove").arg(self.folder.path()).output();
    }
}

fn rows(folder: &Path) -> BTreeMap<String, Vec<String>> {
    let mut reader = csv::Reader::from_path(folder.join("summary.csv")).unwrap();
    let headers = reader.headers().unwrap().clone();
    let kept =
        ["model", "seed", "status", "params", "test_top1", "test_loss", "best_epoch", "best_eval_top1", "batch_digest"];
    let at = |name: &str| headers.iter().position(|header| header == name).unwrap();
    let row = |record: csv::StringRecord| {
        (record[at("run")].to_owned(), kept.iter().map(|name| record[at(name)].to_owned()).collect())
    };
    reader.records().map(|record| row(record.unwrap())).collect()
}

fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(500), "waited for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until the script or program has submitted an array of all runs and the jobs are over; answers the array's number at once to
/// `meanwhile`.
fn submit(cluster: &Cluster, command: &mut Command, meanwhile: impl FnOnce(&str)) {
    let submitted = command.env("SLURM_CONF", &cluster.config).output().unwrap();
    assert!(submitted.status.success(), "{}\n{}", text(&submitted.stdout), text(&submitted.stderr));
    let said = text(&submitted.stdout);
    let array = said.split("12 runs in jobs ").nth(1).and_then(|rest| rest.split(',').next());
    meanwhile(array.unwrap_or_else(|| panic!("{said}")));
    wait_for("the end of all jobs", || cluster.slurm("squeue", &["--noheader"]).trim().is_empty());
}

#[test]
#[ignore = "installs and starts Slurm: `bash .ci/slow slurm`"]
fn an_array_with_a_killed_a_cancelled_and_a_requeued_task_gives_the_tables_of_the_undisturbed_sweep() {
    let Some(cluster) = Cluster::start() else { return };
    let bench = Bench::new(CONFIG);
    bench.succeed(&["run", "plan.toml", "--out", "straight"]);

    let out = bench.path("out");
    let name = |task: usize| {
        let names = fs::read_to_string(out.join("slurm/runs.txt")).unwrap();
        names.lines().nth(task).unwrap().to_owned()
    };
    let log = |task: usize| fs::read_to_string(out.join("runs").join(name(task)).join("run.log")).unwrap_or_default();
    let arguments = ["--partition", "test", "--time", "10", "--cpus", "1", "--array-limit", "2", "--submit"];
    let mut command = bench.command(&[&["slurm", "plan.toml", "--out", "out"], &arguments[..]].concat());
    submit(&cluster, &mut command, |array| {
        // The second task's program is killed, and its worker ends with it.
        wait_for("the second task's first epoch", || log(1).contains("epoch   1/60"));
        let killed =
            Command::new("pkill").args(["-KILL", "-f", "--", &format!("--only {} ", name(1))]).status().unwrap();
        assert!(killed.success(), "there is a process to kill");
        // The first is told to stop, as before its time limit; it is queued again by its own script.
        wait_for("the first task's first epochs", || log(0).contains("epoch   3/60"));
        // (scancel asks again and again until the task is over, which may have been requeued: it is not waited for.)
        let mut signal = Command::new("scancel");
        signal.env("SLURM_CONF", &cluster.config).args(["--batch", "--signal=USR1", &format!("{array}_0")]);
        let mut signal = signal.stderr(Stdio::null()).spawn().unwrap();
        // The third, which takes the place of the second, is cancelled, and nobody queues it again.
        wait_for("the third task's first epoch", || log(2).contains("epoch   1/60"));
        let _ = signal.kill();
        signal.wait().unwrap();
        cluster.slurm("scancel", &[&format!("{array}_2")]);
    });
    assert!(log(0).contains("resumes "), "{}", log(0));
    let expected = rows(&bench.path("straight"));
    let found = rows(&out);
    assert_eq!((expected.len(), found.len()), (12, 10), "the killed run and the cancelled one alone have no end");
    assert!(found.iter().all(|(run, row)| expected[run] == *row), "{found:?}\n{expected:?}");
    let report = fs::read_to_string(out.join("report.md")).unwrap();
    assert!(report.contains("2 runs not finished"), "{report}");

    // Submitted again, the jobs do what is missing.
    submit(&cluster, Command::new("bash").arg(out.join("slurm/submit.sh")), |_| ());
    for task in [1, 2] {
        assert!(log(task).contains("resumes "), "{}", log(task));
    }
    assert_eq!(rows(&out), expected);
}
