"""Compares the speed of vitbench with that of PyTorch, ONNX Runtime and OpenVINO on this machine's CPU.

The results folder gets all samples (blocks.csv), the ratios (ratios.csv), machine.json and the config. If it holds an
unfinished comparison, only the missing processes are timed. README.md explains the method.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import config
import machine
import ratios
from config import UserError
from protocol import Worker
from results import BLOCKS, Results

HERE = Path(__file__).resolve().parent

# Seconds before each sample. All programs stay alive, and after a step their threads go on waiting actively: OpenMP's
# for up to 0.2 s, others for less. The pause is longer, so every engine keeps its own settings and disturbs no other.
PAUSE_S = 0.25

# As in vitbench's timing stage: steps that take less than this, in seconds, follow one that does not count, because
# another program has just used the caches.
SHORT_STEP_S = 0.02


class Side:
    """A program in one variant, and what is timed of it."""

    def __init__(self, side, variant, models, modes, command):
        self.side, self.variant, self.models, self.modes, self.command = side, variant, models, modes, command
        self.worker = None
        # Seconds of a step when it was last timed, by model and mode.
        self.step_s = {}

    def takes(self, subject):
        model, mode = subject
        return model in self.models and mode in self.modes

    def start(self, environment):
        """Starts a fresh process. Returns the numbers of parameters of its models."""
        self.step_s = {}
        self.worker = Worker(ratios.peer_name(self.side, self.variant), self.command, environment)
        return self.worker.wait_until_ready()

    def sample(self, subject, batch_size, seconds):
        """The median time of the steps that fit into `seconds`, at least one."""
        last = self.step_s.get(subject)
        untimed_steps = int(last is None or last < SHORT_STEP_S)
        steps = 1 if last is None else min(max(round(seconds / last), 1), 10_000)
        time.sleep(PAUSE_S)
        self.step_s[subject] = self.worker.sample(*subject, batch_size, untimed_steps, steps)
        return self.step_s[subject]

    def stop(self):
        if self.worker is not None:
            self.worker.close()
            self.worker = None


def vitbench_command(args):
    return [args.vitbench, "blocks", "--paced", args.config, "--threads", str(args.threads)]


def vitbench_version(args):
    """vitbench's version with its git revision. Asking for it also shows whether vitbench accepts the config."""
    worker = Worker("vitbench", vitbench_command(args))
    try:
        worker.wait_until_ready()
        return worker.ready["version"]
    finally:
        worker.close()


def all_sides(args, sizes, scratch):
    """vitbench, which is the first, and its peers."""
    both, inference = ("train_step", "inference"), ("inference",)
    sides = [Side(*ratios.OURS, list(sizes), both, vitbench_command(args))]
    for form in ("", "token_major"):
        models = [name for name in sizes if form in config.forms(sizes[name])]
        if not models:
            continue
        common = ["--form", form, "--models", ",".join(models), "--threads", str(args.threads)]
        common += ["--precision", args.precision, "--reference", scratch]
        for how in ("eager", "compile"):
            command = [sys.executable, str(HERE / "worker_torch.py"), "--how", how, "--config", args.config, *common]
            sides.append(Side("pytorch", f"{how}_{form}".rstrip("_"), models, both, command))
        for runtime in ("onnxruntime", "openvino"):
            command = [sys.executable, str(HERE / "worker_onnx.py"), "--runtime", runtime, *common]
            sides.append(Side(runtime, form, models, inference, command))
    return sides


def start_all(sides, threads):
    """Starts all programs, one after the other, and checks that their models are of the same size."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    ours = None
    for side in sides:
        params = side.start(environment)
        ours = ours or params
        for model in side.models:
            if params[model] != ours[model]:
                raise UserError(f"{side.worker.name}: {model} has {params[model]:,} parameters, not {ours[model]:,}")


def block_order(subjects, sides, rng):
    """The samples of a block in random order, with those that are compared next to each other."""
    for subject in rng.sample(subjects, len(subjects)):
        takers = [side for side in sides if side.takes(subject)]
        yield from ((subject, side) for side in rng.sample(takers, len(takers)))


def measure(process, args, sizes, sides, save):
    """Times all sides in blocks, in processes that are started for it, and passes the row of each sample to `save`."""
    rng = random.Random(process)
    subjects = [(model, mode) for model in sizes for mode in ("train_step", "inference")]

    def sample(subject, side):
        return side.sample(subject, sizes[subject[0]]["batch_size"], args.seconds)

    try:
        say(f"process {process} of {args.processes}: starting {len(sides)} programs")
        start_all(sides, args.threads)
        say(f"process {process} of {args.processes}: first steps")
        for subject, side in block_order(subjects, sides, rng):
            sample(subject, side)
        for block in range(1, args.blocks + 1):
            say(f"process {process} of {args.processes}: block {block} of {args.blocks}")
            for subject, side in block_order(subjects, sides, rng):
                step_s = f"{sample(subject, side):.6g}"
                batch_size = sizes[subject[0]]["batch_size"]
                cells = (1, side.side, side.variant, *subject, batch_size, args.precision, process, block, step_s)
                save(dict(zip(BLOCKS, cells, strict=True)))
    finally:
        for side in sides:
            side.stop()


def export(args, sizes, scratch):
    """Has the models' images, expected outputs and ONNX files written to `scratch`."""
    say("exporting the models")
    command = [sys.executable, str(HERE / "export.py"), "--config", args.config, "--models", ",".join(sizes)]
    ended = subprocess.run([*command, "--out", scratch], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if ended.returncode:
        raise UserError(f"the models cannot be exported; the last lines of the output:\n{ended.stdout[-2000:]}")


def say(message):
    print(f"{time.strftime('%H:%M:%S')} {message}", file=sys.stderr, flush=True)


def compare(args):
    sizes, _ = config.load(args.config, args.models and args.models.split(","))
    keys = ("threads", "precision", "blocks", "seconds")
    settings = {key: getattr(args, key) for key in keys} | {"pause_s": PAUSE_S, "models": list(sizes)}
    record = machine.record(vitbench_version(args), settings)
    results = Results(args.out, record, Path(args.config).read_text())
    with tempfile.TemporaryDirectory() as scratch:
        sides = all_sides(args, sizes, scratch)
        in_block = sum(len(side.models) * len(side.modes) for side in sides)
        missing = sorted(set(range(1, args.processes + 1)) - results.finished(args.blocks * in_block))
        if missing:
            export(args, sizes, scratch)
        for process in missing:
            measure(process, args, sizes, sides, results.add)
    table = ratios.ratios(results.rows())
    results.write_ratios(table)
    print(ratios.as_text(table))


def at_least(type_, least):
    """A parser of numbers that are not too small."""

    def parse(text):
        value = type_(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, got {text}")
        return value

    return parse


def arguments():
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--vitbench", required=True, metavar="PROGRAM", help="such as target/release/vitbench")
    cli.add_argument("--config", required=True, help="such as configs/speed.toml")
    cli.add_argument("--out", required=True, metavar="DIR", help="results folder")
    cli.add_argument("--processes", type=at_least(int, 1), default=5, help="fresh processes of each program [5]")
    cli.add_argument("--blocks", type=at_least(int, 1), default=8, help="samples of everything in each process [8]")
    cli.add_argument("--seconds", type=at_least(float, 0), default=0.5, help="about the time of a sample [0.5]")
    cli.add_argument("--models", help="only these models, separated by commas")
    cli.add_argument("--threads", type=at_least(int, 1), default=2, help="[2]")
    cli.add_argument("--precision", choices=["f32"], default="f32", help="[f32]")
    args = cli.parse_args()
    if args.processes > ratios.MAX_PROCESSES:
        cli.error(f"--processes: at most {ratios.MAX_PROCESSES}, got {args.processes}")
    return args


def main():
    # So that a terminated comparison ends its workers and removes its temporary files.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        compare(arguments())
    except UserError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("stopped; the same command times the missing processes")


if __name__ == "__main__":
    main()
