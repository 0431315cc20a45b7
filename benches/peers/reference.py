"""What export.py writes of each model and the workers read: images, PyTorch's outputs on them, and ONNX files.

Nothing here needs PyTorch, so that ONNX Runtime and OpenVINO are timed in processes that do not load it.
"""

import json
from pathlib import Path

import numpy

from config import UserError

# Outputs that should be the same differ by rounding alone, which stays below 1e-5 of the largest output.
TOLERANCE = 1e-4


class Reference:
    """The folder with these files."""

    def __init__(self, folder):
        self.folder = Path(folder)

    def write(self, name, images, outputs):
        numpy.save(self.folder / f"{name}.images.npy", images)
        numpy.save(self.folder / f"{name}.outputs.npy", outputs)

    def images(self, name):
        return numpy.load(self.folder / f"{name}.images.npy")

    def onnx(self, name, variant):
        return self.folder / f"{name}.{variant or 'published'}.onnx"

    def write_params(self, params):
        (self.folder / "params.json").write_text(json.dumps(params))

    def params(self):
        """The models' numbers of parameters, by name."""
        return json.loads((self.folder / "params.json").read_text())

    def check(self, name, outputs):
        """Refuses outputs that differ from PyTorch's by more than rounding: a wrong answer has no speed."""
        expected = numpy.load(self.folder / f"{name}.outputs.npy")
        difference = float(numpy.abs(numpy.asarray(outputs) - expected).max() / numpy.abs(expected).max())
        # A difference that is not a number fails as well.
        if not difference <= TOLERANCE:
            raise UserError(f"{name}: its outputs differ from PyTorch's by {difference:.1e} of the largest one")
