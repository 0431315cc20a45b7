//! The timing stage on this machine: copies of a model are rarely told apart, and a model that is a little slower is found. Each test takes
//! an hour or so, and nothing else may run: `bash .ci/slow aa`. With `VITBENCH_AA_DIR`, plans are kept in that folder, and a later start
//! goes on where the last one stopped.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};

mod bench;

use bench::Bench;

/// How many plans are timed, unless `VITBENCH_AA_PLANS` sets another number.
fn plans(default: usize) -> usize {
    std::env::var("VITBENCH_AA_PLANS").map_or(default, |number| number.parse().unwrap())
}

fn aa_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/aa")
}

/// A row of `verdicts.csv`: the ratio of two models' rates, and the verdict.
struct Ratio {
    quantity: String,
    ratio: f64,
    low: f64,
    high: f64,
    verdict: String,
}

/// Times a config of this folder with the given further arguments, unless the plan of this name is done.
fn timed(plan: &str, config: &str, more: &[&str]) -> Vec<Ratio> {
    let bench = Bench::new("");
    let out = std::env::var("VITBENCH_AA_DIR").map_or_else(|_| bench.path("out"), |kept| Path::new(&kept).join(plan));
    if !out.join("verdicts.csv").exists() {
        let config = aa_folder().join(config);
        bench.succeed(&[&["time", config.to_str().unwrap(), "--out", out.to_str().unwrap()], more].concat());
    }
    let mut reader = csv::Reader::from_path(out.join("verdicts.csv")).unwrap();
    let headers = reader.headers().unwrap().clone();
    let column = |name: &str| headers.iter().position(|header| header == name).unwrap();
    let (quantity, estimate, low, high, verdict) =
        (column("quantity"), column("estimate"), column("low"), column("high"), column("verdict"));
    let ratio = |row: csv::StringRecord| Ratio {
        quantity: row[quantity].to_owned(),
        ratio: row[estimate].parse().unwrap(),
        low: row[low].parse().unwrap(),
        high: row[high].parse().unwrap(),
        verdict: row[verdict].to_owned(),
    };
    reader.records().map(|row| ratio(row.unwrap())).collect()
}

/// Burns a core in random intervals until it is dropped.
struct Load(Child);

impl Load {
    fn start() -> Self {
        Self(Command::new("bash").arg(aa_folder().join("load.sh")).arg(std::process::id().to_string()).spawn().unwrap())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// At most one plan in ten may find a difference between copies, and 95 % of the ratios may be at most `within` from 1.
fn copies_are_alike(machine: &str, within: f64) {
    let plans = plans(60);
    let mut with_difference = 0;
    let mut distances = Vec::new();
    for plan in 1..=plans {
        let ratios = timed(&format!("{machine}/plan-{plan}"), "four-copies.toml", &[]);
        let differs = ratios.iter().filter(|ratio| matches!(ratio.verdict.as_str(), "better" | "worse"));
        let differences: Vec<String> = differs
            .map(|ratio| format!("{} {:.3} ({:.3} to {:.3})", ratio.quantity, ratio.ratio, ratio.low, ratio.high))
            .collect();
        with_difference += usize::from(!differences.is_empty());
        distances.extend(ratios.iter().map(|ratio| ratio.ratio.ln().abs().exp_m1()));
        println!("plan {plan}: {} differences {}", differences.len(), differences.join(", "));
    }
    distances.sort_by(f64::total_cmp);
    let most = distances[(0.95 * distances.len() as f64) as usize];
    println!(
        "{with_difference} of {plans} plans have a difference; 95 % of {} ratios are within {:.2} % of 1",
        distances.len(),
        100.0 * most
    );
    assert!(10 * with_difference <= plans, "{with_difference} of {plans} plans tell copies apart");
    assert!(most <= within, "95 % of the ratios lie within {most}");
}

#[test]
#[ignore = "an hour on an idle machine: bash .ci/slow aa"]
fn copies_are_alike_on_an_idle_machine() {
    copies_are_alike("idle", 0.02);
}

#[test]
#[ignore = "an hour: bash .ci/slow aa"]
fn copies_are_alike_on_a_busy_machine() {
    let _load = Load::start();
    copies_are_alike("busy", 0.03);
}

#[test]
#[ignore = "half an hour on an idle machine: bash .ci/slow aa"]
fn a_model_that_is_five_percent_slower_is_found() {
    // How much slower it is: one long stretch.
    let ratios = timed("slower/truth", "slower.toml", &["--seconds", "120", "--set", "measure.precision=0.003"]);
    let truth = ratios.iter().find(|ratio| ratio.quantity == "train_step").unwrap();
    println!(
        "a training step takes {:.2} % longer ({:.4} to {:.4})",
        100.0 * (1.0 / truth.ratio - 1.0),
        truth.low,
        truth.high
    );
    // How much depends on the CPU. A smaller difference is harder to find.
    assert!((0.02..=0.06).contains(&(1.0 / truth.ratio - 1.0)), "{}", truth.ratio);
    let plans = plans(30);
    let mut found = 0;
    for plan in 1..=plans {
        let ratios = timed(&format!("slower/plan-{plan}"), "slower.toml", &[]);
        let step = ratios.iter().find(|ratio| ratio.quantity == "train_step").unwrap();
        found += usize::from(step.verdict == "worse");
        println!("plan {plan}: {:.3} ({:.3} to {:.3}), {}", step.ratio, step.low, step.high, step.verdict);
    }
    println!("found in {found} of {plans} plans");
    assert!(10 * found >= 9 * plans, "found in {found} of {plans} plans");
}
