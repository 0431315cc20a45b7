//! `vitbench slurm`: scripts that do the runs of a config as array tasks on a Slurm cluster.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;

use super::run::LimitArgs;
use super::shared::{ConfigArgs, DataDirArgs, OutArgs, ThreadsArgs};
use crate::error::{Error, Result};
use crate::results::write_atomic;
use crate::run_folder;
use crate::runner;

/// Arguments of `vitbench slurm`.
#[derive(Debug, Args)]
pub(super) struct SlurmArgs {
    #[command(flatten)]
    source: ConfigArgs,
    #[command(flatten)]
    out: OutArgs,
    #[command(flatten)]
    data: DataDirArgs,
    /// Slurm partition
    #[arg(long, value_name = "NAME")]
    partition: Option<String>,
    /// Time limit of an array task, in Slurm's notation: 2:00:00 or 1-0
    ///
    /// A run that needs longer writes a checkpoint before the limit and is requeued until it is done.
    #[arg(long, value_name = "TIME")]
    time: Option<String>,
    /// GPUs per run, in Slurm's notation: 1 or h100:1
    #[arg(long, value_name = "GPUS")]
    gpus: Option<String>,
    /// CPUs per run
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    cpus: Option<u16>,
    /// Maximum number of runs at the same time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    array_limit: Option<u32>,
    #[command(flatten)]
    limits: LimitArgs,
    /// Submit the jobs after writing the scripts
    #[arg(long)]
    submit: bool,
}

/// Slurm's default limit on array sizes, used if Slurm cannot be asked.
const USUAL_MAX_ARRAY: usize = 1001;

/// How many seconds before the time limit a run is told to write a checkpoint.
const NOTICE_SECONDS: u32 = 120;

/// Writes the scripts and, with `--submit`, submits them.
pub(super) fn execute(args: &SlurmArgs) -> Result<()> {
    let mut plan = args.source.plan()?;
    let threads = args.cpus.map_or_else(|| ThreadsArgs::default().count(), usize::from);
    let data_dir = args.data.path().map(absolute).transpose()?;
    let (runs, notes) = runner::identify(&mut plan, &args.source.config, data_dir.as_deref(), threads)?;
    notes.iter().for_each(|note| println!("{note}"));
    let out = args.out.folder(&args.source.config);
    run_folder::open(&out, &plan, &runner::names(&runs), threads)?;
    let out = absolute(&out)?;
    let folder = out.join("slurm");
    fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;

    let names: Vec<&str> = runs.iter().map(|run| run.identity.run.as_str()).collect();
    let job = args.source.config.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let program = std::env::current_exe().map_err(Error::io("find", Path::new("this program")))?;
    let scripts = Scripts { args, job, program, out, data_dir, folder: folder.clone() };
    let max_array = max_array_size().unwrap_or(USUAL_MAX_ARRAY);
    for (file, text) in [
        ("runs.txt", format!("{}\n", names.join("\n"))),
        ("run.sh", scripts.run()?),
        ("report.sh", scripts.report()?),
        ("submit.sh", scripts.submit(names.len(), max_array)?),
    ] {
        write_atomic(&folder.join(file), text.as_bytes())?;
    }
    let submit = folder.join("submit.sh");
    if !args.submit {
        println!("{} runs. To submit them: bash {}", names.len(), submit.display());
        return Ok(());
    }
    let status = Command::new("bash").arg(&submit).status().map_err(Error::io("start", &submit))?;
    if status.success() {
        return Ok(());
    }
    let help = "see Slurm's output above; the script can be run again unchanged";
    Err(Error::input(submit.display(), format!("the jobs were not submitted ({status})"), help))
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(Error::io("find", path))
}

/// The cluster's limit, if this machine can ask for it.
fn max_array_size() -> Option<usize> {
    let output = Command::new("scontrol").args(["show", "config"]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().find(|line| line.trim_start().starts_with("MaxArraySize"))?;
    line.split('=').nth(1)?.trim().parse().ok()
}

/// Slurm signals a task before its time limit (USR1), and when the task is pre-empted or cancelled (TERM). The script passes the signal
/// on to the program; the signal may arrive before the program has started.
const TASK_START: &str = r#"pid=
asked=
stop() {
    asked=1
    [ -z "$pid" ] || kill -USR1 "$pid" 2>/dev/null
}
trap stop USR1 TERM

"#;

/// When told to stop, the program writes a checkpoint and exits with 130 or 143 (138 if the signal came before it could handle it). The
/// task is then requeued, unless Slurm itself is ending it: because it was cancelled, or to requeue it after a pre-emption.
const TASK_END: &str = r#" &
pid=$!
[ -z "$asked" ] || kill -USR1 "$pid" 2>/dev/null
# A signal that this script catches ends `wait` early.
wait "$pid"
code=$?
while kill -0 "$pid" 2>/dev/null; do
    wait "$pid"
    code=$?
done
case "$code" in
130 | 138 | 143)
    task="${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"
    ! scontrol show job "$task" | grep -q JobState=RUNNING || scontrol requeue "$task"
    ;;
esac
exit "$code"
"#;

struct Scripts<'a> {
    args: &'a SlurmArgs,
    job: String,
    program: PathBuf,
    out: PathBuf,
    data_dir: Option<PathBuf>,
    folder: PathBuf,
}

/// A path as a word of the shell.
fn quoted(path: &Path) -> Result<String> {
    let text = path.to_str().ok_or("it is not UTF-8");
    let quoted = text.and_then(|text| shlex::try_quote(text).map_err(|_| "it contains a NUL byte"));
    let word = quoted.map_err(|problem| Error::input(path.display(), problem, "choose another path"))?;
    Ok(word.into_owned())
}

impl Scripts<'_> {
    fn head(&self, what: &str, log: &str) -> Result<String> {
        let log = self.folder.join(log);
        // Slurm reads the directives, not the shell: paths with spaces are quoted, and no other character is special.
        let mut head = format!("#!/bin/bash\n#SBATCH --job-name=\"vitbench {what} {}\"\n", self.job.replace('"', ""));
        head += &format!("#SBATCH --output=\"{}\"\n", log.display());
        if let Some(partition) = &self.args.partition {
            head += &format!("#SBATCH --partition={partition}\n");
        }
        Ok(head)
    }

    /// One array task per run. Before its time is up, or when it is pre-empted, the run writes a checkpoint and the task is requeued.
    fn run(&self) -> Result<String> {
        let SlurmArgs { time, gpus, cpus, .. } = self.args;
        let mut script = self.head("run", "%A_%a.log")?;
        for (option, value) in
            [("time", time.clone()), ("gpus", gpus.clone()), ("cpus-per-task", cpus.map(|n| n.to_string()))]
        {
            if let Some(value) = value {
                script += &format!("#SBATCH --{option}={value}\n");
            }
        }
        script +=
            &format!("#SBATCH --signal=B:USR1@{NOTICE_SECONDS}\n#SBATCH --requeue\n#SBATCH --open-mode=append\n\n");
        script += TASK_START;
        script += "# This task's line in the list of runs, after the lines of the earlier arrays.\n";
        script += &format!(
            "run=$(sed -n \"$((${{1:-0}} + SLURM_ARRAY_TASK_ID + 1))p\" {})\n",
            quoted(&self.folder.join("runs.txt"))?
        );
        script += &format!(
            "{} run {} --out {} --only \"$run\"",
            quoted(&self.program)?,
            quoted(&self.out.join("plan.toml"))?,
            quoted(&self.out)?
        );
        if let Some(data_dir) = &self.data_dir {
            script += &format!(" --data-dir {}", quoted(data_dir)?);
        }
        if let Some(cpus) = cpus {
            script += &format!(" --threads {cpus}");
        }
        for word in self.args.limits.words() {
            script += &format!(" {word}");
        }
        Ok(script + TASK_END)
    }

    /// Times the models side by side on one node, with the resources of a run, and writes the report.
    fn report(&self) -> Result<String> {
        let SlurmArgs { time, gpus, cpus, .. } = self.args;
        let mut script = self.head("report", "report_%j.log")?;
        for (option, value) in
            [("time", time.clone()), ("gpus", gpus.clone()), ("cpus-per-task", cpus.map(|n| n.to_string()))]
        {
            if let Some(value) = value {
                script += &format!("#SBATCH --{option}={value}\n");
            }
        }
        let (program, out) = (quoted(&self.program)?, quoted(&self.out)?);
        let threads = cpus.map_or_else(String::new, |cpus| format!(" --threads {cpus}"));
        script += &format!("\n{program} time {out}{threads}\nexec {program} report {out}\n");
        Ok(script)
    }

    /// Arrays of as many tasks as the cluster allows, then the report after all of them.
    fn submit(&self, runs: usize, max_array: usize) -> Result<String> {
        let limit = self.args.array_limit.map_or_else(String::new, |limit| format!("%{limit}"));
        let mut script = "#!/bin/bash\nset -e\njobs=\n".to_owned();
        let run = quoted(&self.folder.join("run.sh"))?;
        // A cluster without arrays reports 0. Slurm's own message about an array is then clearer than one of vitbench's.
        let max_array = max_array.max(1);
        for first in (0..runs).step_by(max_array) {
            let last = (runs - first).min(max_array) - 1;
            // The limit applies to one array. For it to hold for all runs, the arrays run one after another.
            let after = if first > 0 && !limit.is_empty() { " --dependency=afterany:\"$job\"" } else { "" };
            script += &format!("job=$(sbatch --parsable{after} --array=0-{last}{limit} {run} {first})\njobs+=:$job\n");
        }
        let report = quoted(&self.folder.join("report.sh"))?;
        script += &format!("report=$(sbatch --parsable --dependency=afterany\"$jobs\" {report})\n");
        script += &format!("echo \"{runs} runs in jobs ${{jobs#:}}, then timing and report in job $report\"\n");
        Ok(script)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        args: SlurmArgs,
    }

    fn scripts(arguments: &[&str], check: impl FnOnce(&Scripts<'_>)) {
        let only = Only::parse_from([&["slurm", "configs/quick.toml"], arguments].concat());
        check(&Scripts {
            args: &only.args,
            job: "quick".into(),
            program: "/opt/vit bench/vitbench".into(),
            out: "/scratch/it's".into(),
            data_dir: Some("/data".into()),
            folder: "/scratch/it's/slurm".into(),
        });
    }

    #[test]
    fn arrays_are_no_greater_than_the_cluster_takes() {
        scripts(&["--array-limit", "8"], |scripts| {
            let script = scripts.submit(2500, 1000).unwrap();
            for array in ["--array=0-999%8", "--array=0-999%8", "--array=0-499%8"] {
                assert!(script.contains(array), "{script}");
            }
            for offset in [" 0)\n", " 1000)\n", " 2000)\n"] {
                assert!(script.contains(offset), "{script}");
            }
            assert_eq!(
                script.matches("--dependency=afterany:\"$job\" --array").count(),
                2,
                "8 at a time, not 24: {script}"
            );
            assert_eq!(script.matches("--array").count(), 3);
            assert!(script.contains("--dependency=afterany\"$jobs\""), "{script}");
        });
        scripts(&[], |scripts| {
            assert!(scripts.submit(1, 1001).unwrap().contains("--array=0-0 "));
            assert!(!scripts.submit(2500, 1000).unwrap().contains("\"$job\""), "without a limit nothing waits");
            assert_eq!(scripts.submit(2, 0).unwrap().matches("--array").count(), 2);
        });
    }

    #[test]
    fn what_was_asked_for_reaches_the_script_and_paths_are_quoted() {
        let arguments = [
            "--partition",
            "gpu",
            "--time",
            "1:00:00",
            "--gpus",
            "h100:1",
            "--cpus",
            "6",
            "--max-memory",
            "2GiB",
            "--max-time",
            "90m",
            "--retry",
            "failed",
        ];
        scripts(&arguments, |scripts| {
            let script = scripts.run().unwrap();
            for part in [
                "#SBATCH --partition=gpu\n",
                "#SBATCH --time=1:00:00\n",
                "#SBATCH --gpus=h100:1\n",
                "#SBATCH --cpus-per-task=6\n",
                "#SBATCH --signal=B:USR1@120\n",
                "#SBATCH --requeue\n",
                "'/opt/vit bench/vitbench' run \"/scratch/it's/plan.toml\"",
                " --data-dir /data --threads 6 --retry failed --max-memory=2147483648 --max-time=5400s &\n",
            ] {
                assert!(script.contains(part), "{part}:\n{script}");
            }
        });
    }
}
