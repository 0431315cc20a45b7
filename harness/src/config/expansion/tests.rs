//! Sweeps and what they expand to.

use crate::config::{Plan, parse};

const PLAN: &str = "seeds = [0, 1]\n[data]\ndataset = 'shapes'\n[train]\nepochs = 1\nbatch_size = 8\nlr = 0.1\n\
                    optimizer.kind = 'sgd'\n[[model]]\nname = 'a'\narchitecture = 'vit'\npatch_size = 8\nd_model = 24\ndepth = 1\n\
                    heads = 3\nd_ff = 24\n[[model]]\nname = 'b'\narchitecture = 'conv_vit'\npatch_size = 4\nd_model = 16\ndepth = 1\n\
                    head_channels = 8\nd_ff = 32\n";

fn plan(sweep: &str) -> Plan {
    parse(&format!("{PLAN}[sweep]\n{sweep}\n"), "sweep.toml", &[]).unwrap_or_else(|error| panic!("{sweep}: {error}"))
}

/// Names and seeds of the runs.
fn runs(sweep: &str) -> Vec<String> {
    plan(sweep).runs().iter().map(|run| format!("{} s{}", run.model.name, run.seed)).collect()
}

fn error(sweep: &str) -> String {
    parse(&format!("{PLAN}[sweep]\n{sweep}\n"), "sweep.toml", &[]).unwrap_err().to_string()
}

#[test]
fn a_grid_combines_every_value_with_every_other() {
    let expected = [
        "a lr=0.1 depth=1",
        "b lr=0.1 depth=1",
        "a lr=0.1 depth=2",
        "b lr=0.1 depth=2",
        "a lr=0.2 depth=1",
        "b lr=0.2 depth=1",
        "a lr=0.2 depth=2",
        "b lr=0.2 depth=2",
    ];
    let names = plan("\"train.lr\" = [0.1, 0.2]\n\"model.*.depth\" = [1, 2]\nseeds = [5]").model_names();
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    // Which axis turns faster is no promise; that models of a combination stand together is.
    let parts = |name: &String| {
        let mut parts: Vec<&str> = name.split(' ').collect();
        parts[1..].sort_unstable();
        parts.join(" ")
    };
    let expected: Vec<String> = expected.iter().map(|name| parts(&(*name).to_owned())).collect();
    assert_eq!(sorted(names.iter().map(parts).collect()), sorted(expected));
    assert_eq!(names.iter().map(|name| &name[..1]).collect::<String>(), "abababab");
}

#[test]
fn values_reach_the_runs() {
    let plan = plan("train.lr = [0.1, 0.2]\nmodel.b.depth = [1, 3]\n\"train.optimizer\" = [{ kind = 'adamw' }]");
    let runs = plan.runs();
    let deep = runs.iter().find(|run| run.model.name.contains("lr=0.2") && run.model.name.contains("depth=3"));
    let deep = deep.unwrap();
    assert_eq!((deep.train.lr, deep.model.architecture.depth()), (Some(0.2), 3));
    assert!(runs.iter().all(|run| matches!(run.train.optimizer, crate::config::OptimizerConfig::Adamw { .. })));
    assert!(runs.iter().all(|run| !run.model.name.contains("optimizer")), "one value tells nothing apart");
    // The depth is one model's alone: the other has a run for each learning rate and seed, no more.
    assert_eq!(runs.iter().filter(|run| run.model.name.starts_with('a')).count(), 2 * 2);
    assert_eq!(runs.iter().filter(|run| run.model.name.starts_with('b')).count(), 2 * 2 * 2);
}

#[test]
fn zipped_axes_go_together() {
    let zipped = runs("combine = 'zip'\n\"train.lr\" = [0.1, 0.2]\n\"train.batch_size\" = [8, 16]\nseeds = [3, 4]");
    assert_eq!(zipped.len(), 4);
    for part in ["lr=0.1", "batch_size=8", "s3"] {
        assert!(zipped[0].contains(part), "{zipped:?}");
    }
    assert!(
        error("combine = 'zip'\n\"train.lr\" = [0.1, 0.2]\n\"train.epochs\" = [1]").contains("equal numbers of values")
    );
}

#[test]
fn combinations_are_excluded_by_rules() {
    let axes = "\"train.lr\" = [0.1, 0.2]\n\"train.batch_size\" = [8, 16]\nseeds = [0]";
    let all = runs(axes).len();
    let some = runs(&format!("{axes}\nexclude = [{{ \"train.lr\" = 0.2, train.batch_size = 16 }}]"));
    assert_eq!((all, some.len()), (8, 6));
    let without_b = runs(&format!("{axes}\nexclude = [{{ model = 'b', \"train.lr\" = 0.1 }}]"));
    assert_eq!(without_b.iter().filter(|name| name.starts_with('b')).count(), 2);
    let unknown = error(&format!("{axes}\nexclude = [{{ \"train.epochs\" = 3 }}]"));
    assert!(unknown.contains("`train.epochs` is not an axis"), "{unknown}");
    assert!(error("seeds = [0]\nexclude = [{ seeds = 0 }]").contains("every combination is excluded"));
    assert!(error("\"data.files\" = ['a.csv', 'b.csv']").contains("sweep.data.files: cannot be an axis"));
}

#[test]
fn models_are_matched_to_targets() {
    let plan = plan("match = 'params'\ntarget = [20_000, 60_000]\nseeds = [0]");
    assert_eq!(plan.model_names(), ["a params=20k", "a params=60k", "b params=20k", "b params=60k"]);
    for run in plan.runs() {
        let layers = run.model.architecture.for_images(run.data.image_size, 10).layers();
        let params: usize = layers.iter().map(|layer| layer.params()).sum();
        let target = if run.model.name.ends_with("20k") { 20_000.0 } else { 60_000.0 };
        assert!((params as f64 / target - 1.0).abs() < 0.031, "{}: {params}", run.model.name);
    }
    assert_eq!(self::plan("match = 'macs'\ntarget = 3_000_000\nseeds = [0]").model_names(), ["a", "b"]);
    assert!(error("match = 'params'").contains("needs a target"));
    assert!(error("target = 100").contains("needs a quantity"));
    assert!(error("match = 'params'\ntarget = 10").contains("no width gives 10 params within 3 %"));
}

#[test]
fn a_plan_survives_its_file() {
    let sweep = "\"train.optimizer\" = [{ kind = 'adamw' }, { kind = 'muon', momentum = 0.9 }]\nmodel.a.heads = [3, 6]\n\
                 exclude = [{ model = 'b' }]\nmatch = 'params'\ntarget = 60_000\ncombine = 'zip'";
    let plan = plan(sweep);
    let again = parse(&toml::to_string(&plan).unwrap(), "plan.toml", &[]).unwrap();
    assert_eq!(plan, again);
    assert_eq!(plan.runs(), again.runs());
    assert_eq!(plan.model_names(), ["a heads=3 optimizer=adamw", "a heads=6 optimizer=muon"]);
}

#[test]
fn what_is_wrong_is_named_with_the_combination() {
    for (sweep, problem) in [
        ("\"train.lr\" = [0.1, 'much']", "sweep.toml with train.lr = \"much\": train.lr"),
        ("\"train.momentum\" = [0.1]", "unknown field `momentum`"),
        ("\"model.*.heads\" = [2]", "unknown field `heads`"),
        ("\"model.c.depth\" = [2]", "there is no model `c`"),
        ("\"model.*\" = [2]", "name a key of the model as well"),
        ("\"model.a.heads\" = [3, 5]", "heads"),
        ("\"train.lr\" = 0.1", "an axis is a list of values"),
        ("\"train.lr\" = []", "an axis needs at least one value"),
        (
            "\"train.lr\" = [0.1]\nexclude = [{ \"train.lr\" = 0.2 }]",
            "`train.lr` is never 0.2 in this sweep; its values are 0.1",
        ),
        ("seeds = [0]\nexclude = [{ model = 'c' }]", "the config has no model `c` to exclude"),
        ("\"train.epochs.x\" = [1]", "`epochs` is not a table"),
    ] {
        assert!(error(sweep).contains(problem), "{sweep}: {}", error(sweep));
    }
}
