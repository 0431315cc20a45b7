"""Exports the models of a config for the workers; see reference.py. run.py starts this once."""

import argparse

import torch

import config
import models
from reference import Reference

OPSET = 18


def main():
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument("--config", required=True)
    cli.add_argument("--models", required=True)
    cli.add_argument("--out", required=True)
    args = cli.parse_args()
    reference, params = Reference(args.out), {}
    for name, sizes in config.load(args.config, args.models.split(","))[0].items():
        images = models.some_images(sizes)
        for variant in config.forms(sizes):
            model = models.build(sizes, variant).eval()
            path = str(reference.onnx(name, variant))
            torch.onnx.export(model, (images,), path, opset_version=OPSET, dynamo=True, verbose=False)
        model = models.build(sizes).eval()
        params[name] = models.count(model)
        with torch.inference_mode():
            reference.write(name, images.numpy(), model(images).numpy())
    reference.write_params(params)


if __name__ == "__main__":
    main()
