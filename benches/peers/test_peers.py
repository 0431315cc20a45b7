"""Tests of the statistics, the files and the protocol, which need neither vitbench nor a peer. If PyTorch is installed,
the two forms of the convolutional ViT are compared as well.

    python -m unittest
"""

import importlib.util
import io
import json
import math
import random
import sys
import tempfile
import unittest
from pathlib import Path

import config
import protocol
import ratios
import run
from config import UserError
from results import BLOCKS, Results

SPEED = Path(__file__).resolve().parents[2] / "configs/speed.toml"


def student_probability(t, degrees):
    """The probability of a value between -t and t, by Simpson's rule over the angle atan(t / sqrt(degrees))."""
    end, count = math.atan(t / math.sqrt(degrees)), 2000
    values = [math.cos(end * i / count) ** (degrees - 1) for i in range(count + 1)]
    weighted = values[0] + values[-1] + 4 * sum(values[1:-1:2]) + 2 * sum(values[2:-1:2])
    gammas = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2)
    return 2 * math.exp(gammas) / math.sqrt(math.pi) * weighted * end / count / 3


def samples(times):
    """Rows of blocks.csv from {(side, variant): [[step_s of each block] of each process]}."""
    for (side, variant), processes in times.items():
        for process, blocks in enumerate(processes, 1):
            for block, step_s in enumerate(blocks, 1):
                cells = (1, side, variant, "vit", "inference", 8, "f32", process, block, str(step_s))
                yield dict(zip(BLOCKS, cells, strict=True))


class Statistics(unittest.TestCase):
    def test_quantiles_leave_five_percent_outside(self):
        for degrees, t in enumerate(ratios.T_QUANTILES, 1):
            # The third decimal of a quantile is rounded, and the density there is below 0.06.
            self.assertAlmostEqual(student_probability(t, degrees), 0.95, delta=6e-5, msg=f"{degrees} degrees")

    def test_an_interval_is_that_of_student(self):
        mean, low, high = ratios.interval([1.0, 2.0, 4.0])
        # scipy.stats.t.interval(0.95, 2, mean, scipy.stats.sem([1, 2, 4]))
        self.assertAlmostEqual(mean, 7 / 3)
        self.assertAlmostEqual(low, -1.461250, delta=1e-3)
        self.assertAlmostEqual(high, 6.127917, delta=1e-3)
        self.assertEqual(ratios.interval([1.5]), (1.5, None, None))

    def test_ratios_are_those_of_rates_and_the_best_variant_is_the_fastest(self):
        ours = [[1.0, 2.0, 1.0], [1.0, 1.0, 1.0]]
        slow, fast = [[3.0, 6.0, 99.0], [3.0, 3.0, 3.0]], [[2.0, 4.0, 2.0], [2.0, 2.0, 0.1]]
        peers = {("pytorch", "eager"): slow, ("pytorch", "compile"): fast, ("openvino", ""): ours}
        rows = samples({ratios.OURS: ours} | peers)
        table = {row["peer"]: row for row in ratios.ratios(rows)}
        self.assertEqual(list(table), ["pytorch eager", "pytorch compile", "openvino", "pytorch best"])
        # The outliers are single blocks, which a median ignores. Without a spread, an interval is a point.
        for peer, ratio in [("pytorch eager", "3.0000"), ("pytorch best", "2.0000"), ("openvino", "1.0000")]:
            self.assertEqual([table[peer][key] for key in ("ratio", "low", "high")], [ratio] * 3, peer)
        self.assertIn("3.00  3.00 to 3.00", ratios.as_text(table.values()))

    def test_the_interval_is_over_processes(self):
        rows = samples({ratios.OURS: [[1.0], [1.0]], ("pytorch", "eager"): [[2.0], [4.0]]})
        (row,) = ratios.ratios(rows)
        half = 12.706 * math.log(2) / 2
        self.assertAlmostEqual(float(row["ratio"]), math.sqrt(8), delta=1e-4)
        self.assertAlmostEqual(float(row["high"]) / math.sqrt(8), math.exp(half), delta=1e-2)


class Protocol(unittest.TestCase):
    def serve(self, *requests):
        def make_step(model, mode, batch_size):
            if mode != "inference":
                raise ValueError(f"cannot time {mode}")
            return lambda: self.steps.append((model, batch_size))

        self.steps, answers = [], io.StringIO()
        lines = [request if isinstance(request, str) else json.dumps(request) for request in requests]
        protocol.serve(lines, answers, {"vit": 7}, make_step)
        return [json.loads(line) for line in answers.getvalue().splitlines()]

    def test_requests_are_answered_in_order(self):
        request = dict(model="vit", mode="inference", batch_size=4, untimed_steps=2, steps=3)
        ready, answer = self.serve(request)
        self.assertEqual(ready, {"models": [{"model": "vit", "params": 7}]})
        self.assertGreaterEqual(answer["step_s"], 0)
        self.assertEqual(self.steps, [("vit", 4)] * 5)

    def test_what_cannot_be_timed_is_an_error_and_not_the_end(self):
        good = dict(model="vit", mode="inference", batch_size=4, steps=1)
        wrong = [good | {"model": "swin"}, good | {"mode": "train_step"}, good | {"steps": 0}, {}, "steps"]
        _, *answers = self.serve(*wrong, good)
        self.assertTrue(all("error" in answer for answer in answers[:-1]), answers)
        self.assertIn("the models are vit", answers[0]["error"])
        self.assertIn("step_s", answers[-1])

    def worker(self, code):
        code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import protocol; {code}"
        worker = protocol.Worker("sleeper", [sys.executable, "-c", code])
        self.addCleanup(worker.close)
        return worker

    def test_a_worker_is_asked_and_closed(self):
        # What a library prints is no answer.
        worker = self.worker("import time; out = protocol.own_stdout(); print('Hello');"
                             "protocol.serve(sys.stdin, out, {'vit': 7}, lambda *_: lambda: time.sleep(0.01))")
        self.assertEqual(worker.wait_until_ready(), {"vit": 7})
        self.assertGreaterEqual(worker.sample("vit", "inference", 4, 0, 2), 0.01)
        with self.assertRaisesRegex(UserError, "sleeper: ValueError: there is no model `swin`"):
            worker.sample("swin", "inference", 4, 0, 2)
        worker.close()
        self.assertEqual(worker.process.returncode, 0)

    def test_the_last_words_of_a_worker_are_shown(self):
        worker = self.worker("sys.exit('out of memory')")
        with self.assertRaisesRegex(UserError, "(?s)sleeper ended with exit code 1.*out of memory"):
            worker.wait_until_ready()


class Files(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_finished_processes_are_kept_and_others_removed(self):
        results = Results(self.folder, {"threads": 2}, "config")
        for row in samples({ratios.OURS: [[1.0, 2.0], [1.0], [3.0, 3.0]]}):
            results.add(row)
        with open(self.folder / "blocks.csv", "a") as file:
            file.write("1,vitbench,,vit,inference,8,f32,2,2,1.")
        again = Results(self.folder, {"threads": 2}, "config")
        self.assertEqual(again.finished(2), {1, 3})
        self.assertEqual([row["step_s"] for row in again.rows()], ["1.0", "2.0", "3.0", "3.0"])
        again.write_ratios(ratios.ratios(again.rows()))
        self.assertEqual((self.folder / "ratios.csv").read_text(), "schema,model,mode,precision,peer,ratio,low,high\n")

    def test_samples_of_other_conditions_are_not_mixed(self):
        Results(self.folder, {"threads": 2}, "config")
        for record, text in [({"threads": 1}, "config"), ({"threads": 2}, "other")]:
            with self.assertRaisesRegex(UserError, "choose another folder"):
                Results(self.folder, record, text)

    def test_the_config_is_read_as_vitbench_reads_it(self):
        models, optimizer = config.load(SPEED)
        self.assertEqual(list(models), ["conv_vit", "linformer", "vit_tiny", "vit_base"])
        self.assertEqual(optimizer, {})
        self.assertEqual(list(config.load(SPEED, ["vit_base"])[0]), ["vit_base"])
        with self.assertRaisesRegex(UserError, "there is no model `swin`"):
            config.load(SPEED, ["swin"])
        changed = self.folder / "changed.toml"
        for old, new, problem in [
            ("heads = 3\n", "heads = 3\nlearned_scale = true\n", "do not know: .'learned_scale'"),
            ("d_ff = 512", "d_ff = 500", "model `linformer`: d_ff"),
            ('"adamw"', '"sgd"', "adamw"),
            ("[train]", "[train]\nclip_norm = 1.0", "train.optimizer"),
        ]:
            changed.write_text(SPEED.read_text().replace(old, new, 1))
            with self.assertRaisesRegex(UserError, problem):
                config.load(changed)


class Order(unittest.TestCase):
    def test_compared_samples_are_neighbours_in_random_order(self):
        both = ("train_step", "inference")
        subjects = [("vit", "train_step"), ("vit", "inference"), ("conv", "inference")]
        sides = [
            run.Side("vitbench", "", ["vit", "conv"], both, []),
            run.Side("pytorch", "eager", ["vit", "conv"], both, []),
            run.Side("openvino", "", ["vit"], ("inference",), []),
        ]
        rng, firsts = random.Random(1), set()
        for _ in range(100):
            order = list(run.block_order(subjects, sides, rng))
            self.assertEqual(len(order), 2 + 3 + 2)
            groups = [subject for at, (subject, _) in enumerate(order) if at == 0 or order[at - 1][0] != subject]
            self.assertEqual(sorted(groups), sorted(subjects))
            firsts.add((order[0][0], order[0][1].side))
        self.assertEqual(len(firsts), 2 + 3 + 2)


@unittest.skipUnless(importlib.util.find_spec("torch"), "torch is not installed")
class Models(unittest.TestCase):
    def test_both_forms_of_the_convolutional_vit_are_one_function(self):
        import models
        import torch

        sizes = config.load(SPEED)[0]["conv_vit"] | {"batch_size": 3}
        published, other = models.build(sizes), models.build(sizes, "token_major")
        self.assertEqual((models.count(published), models.count(other)), (59_818, 59_818))
        images, labels = models.some_images(sizes), models.some_labels(sizes)
        outputs = [model(images) for model in (published, other)]
        torch.testing.assert_close(*outputs)
        for output in outputs:
            torch.nn.functional.cross_entropy(output, labels).backward()
        for name in ("norm.weight", "head.weight", "blocks.0.mlp_norm.bias"):
            gradients = [model.get_parameter(name).grad for model in (published, other)]
            torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-6)


if __name__ == "__main__":
    unittest.main()
