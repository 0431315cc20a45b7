"""Times inference of the exported models in ONNX Runtime or OpenVINO, for run.py."""

import argparse
import sys

import protocol
from reference import Reference


def onnxruntime(path, threads):
    """A function from a batch of images to the outputs."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: session.run(None, {name: images})[0]


def openvino(path, threads):
    """A function from a batch of images to the outputs."""
    import openvino as ov

    # On its own, OpenVINO computes in bf16 where the processor can.
    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    model = ov.Core().compile_model(str(path), "CPU", settings)
    # Without `share_inputs`, it would copy the images first.
    return lambda images: model(images, share_inputs=True)[0]


RUNTIMES = {"onnxruntime": onnxruntime, "openvino": openvino}


def main():
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument("--runtime", choices=RUNTIMES, required=True)
    cli.add_argument("--form", choices=["", "token_major"], default="", help="see config.py")
    cli.add_argument("--models", required=True)
    cli.add_argument("--threads", type=int, required=True)
    cli.add_argument("--precision", choices=["f32"], required=True)
    cli.add_argument("--reference", required=True, help="the folder that export.py wrote")
    args = cli.parse_args()
    answers = protocol.own_stdout()
    reference = Reference(args.reference)
    images, infer = {}, {}
    for name in args.models.split(","):
        images[name] = reference.images(name)
        infer[name] = RUNTIMES[args.runtime](reference.onnx(name, args.form), args.threads)
        reference.check(name, infer[name](images[name]))

    def make_step(name, mode, batch_size):
        if mode != "inference" or batch_size != len(images[name]):
            raise ValueError(f"cannot time `{mode}` of {batch_size} images")
        return lambda: infer[name](images[name])

    params = reference.params()
    protocol.serve(sys.stdin, answers, {name: params[name] for name in images}, make_step)


if __name__ == "__main__":
    main()
