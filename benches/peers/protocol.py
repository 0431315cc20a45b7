"""What run.py and the programs that it times say to each other: lines of JSON.

A program prints a line once it is ready, and then answers each request on standard input. It ends when that is
closed.

    {"models": [{"model": "vit", "params": 5357770}]}
    {"model": "vit", "mode": "train_step", "batch_size": 128, "untimed_steps": 1, "steps": 4}
    {"step_s": 0.0817}

The answer is the median time of a step in seconds, or {"error": "..."}. `vitbench blocks --paced` speaks the same
protocol; its first line also says its version.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from config import UserError

# Lines of a program's standard error that are shown if it dies.
LAST_LINES = 20


def own_stdout():
    """Standard output for answers alone. What libraries print there goes to standard error from now on."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def serve(requests, answers, params, make_step):
    """Answers requests until there are no more. `params` are the models' numbers of parameters, by name.
    `make_step(model, mode, batch_size)` returns a function that takes a step; it raises ValueError if it cannot."""

    def say(message):
        print(json.dumps(message), file=answers, flush=True)

    say({"models": [{"model": name, "params": count} for name, count in params.items()]})
    for line in requests:
        try:
            request = json.loads(line)
            if request["model"] not in params:
                raise ValueError(f"there is no model `{request['model']}`; the models are {', '.join(params)}")
            if request["steps"] < 1:
                raise ValueError("steps must be at least 1")
            step = make_step(request["model"], request["mode"], request["batch_size"])
        except (ValueError, KeyError, TypeError) as error:
            say({"error": f"{type(error).__name__}: {error}"})
            continue
        say({"step_s": median_step_s(step, request.get("untimed_steps", 0), request["steps"])})


def median_step_s(step, untimed_steps, steps):
    """The median time of `steps` steps after `untimed_steps`, in seconds."""
    for _ in range(untimed_steps):
        step()
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


class Worker:
    """A program that answers requests."""

    def __init__(self, name, command, environment=None):
        self.name = name
        self.log = tempfile.TemporaryFile("w+", errors="replace")
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log)
        try:
            self.process = subprocess.Popen(command, **pipes, text=True, env=environment)
        except OSError as error:
            raise UserError(f"{name} cannot be started: {error}") from error

    def wait_until_ready(self):
        """The numbers of parameters of its models, by name."""
        self.ready = self.hear()
        return {model["model"]: model["params"] for model in self.ready["models"]}

    def sample(self, model, mode, batch_size, untimed_steps, steps):
        """The median time of a step, in seconds."""
        request = dict(model=model, mode=mode, batch_size=batch_size, untimed_steps=untimed_steps, steps=steps)
        try:
            print(json.dumps(request), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            self.died()
        return self.hear()["step_s"]

    def hear(self):
        line = self.process.stdout.readline()
        if not line:
            self.died()
        message = json.loads(line)
        if "error" in message:
            raise UserError(f"{self.name}: {message['error']}")
        return message

    def died(self):
        code = self.process.wait()
        self.log.seek(0)
        lines = self.log.read().splitlines()[-LAST_LINES:]
        raise UserError("\n".join([f"{self.name} ended with exit code {code}. Its last lines were:", *lines]))

    def close(self):
        """Ends the program and waits for it."""
        try:
            self.process.stdin.close()
            self.process.wait(timeout=30)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            print(f"{self.name} does not end by itself and is killed", file=sys.stderr)
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.log.close()
