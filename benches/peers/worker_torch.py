"""Times the models in PyTorch, for run.py."""

import argparse
import sys

import torch
import torch.nn.functional as F

import config
import models
import protocol
from reference import Reference

# As in vitbench's timed steps: too small to change the weights noticeably.
LR = 1e-7


class Timed:
    """A model with a batch and an optimiser."""

    def __init__(self, sizes, optimizer, images, is_compiled, form):
        self.model = models.build(sizes, form)
        self.forward = torch.compile(self.model, dynamic=False) if is_compiled else self.model
        self.images, self.labels = torch.from_numpy(images), models.some_labels(sizes)
        # `fused` is the fastest of PyTorch's implementations of AdamW on a CPU. The default makes several passes.
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=LR, fused=True, **optimizer)

    def step(self, mode):
        """A function that takes a step: the same work as a step that vitbench times."""
        self.model.train(mode == "train_step")
        return {"train_step": self.train_step, "inference": self.inference}[mode]

    def train_step(self):
        F.cross_entropy(self.forward(self.images), self.labels).backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    @torch.inference_mode()
    def inference(self):
        return self.forward(self.images)


def main():
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument("--how", choices=["eager", "compile"], required=True)
    cli.add_argument("--form", choices=["", "token_major"], default="", help="see config.py")
    cli.add_argument("--config", required=True)
    cli.add_argument("--models", required=True)
    cli.add_argument("--threads", type=int, required=True)
    cli.add_argument("--precision", choices=["f32"], required=True)
    cli.add_argument("--reference", required=True, help="the folder that export.py wrote")
    args = cli.parse_args()
    answers = protocol.own_stdout()
    torch.set_num_threads(args.threads)
    reference = Reference(args.reference)
    sizes, optimizer = config.load(args.config, args.models.split(","))
    timed = {}
    for name in sizes:
        images = reference.images(name)
        timed[name] = Timed(sizes[name], optimizer, images, args.how == "compile", args.form)
        reference.check(name, timed[name].step("inference")())

    def make_step(name, mode, batch_size):
        if mode not in ("train_step", "inference") or batch_size != sizes[name]["batch_size"]:
            raise ValueError(f"cannot time `{mode}` of {batch_size} images")
        return timed[name].step(mode)

    params = {name: models.count(timed[name].model) for name in timed}
    protocol.serve(sys.stdin, answers, params, make_step)


if __name__ == "__main__":
    main()
