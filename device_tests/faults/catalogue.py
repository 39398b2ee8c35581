"""The faults, and which rung has to catch each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from device_tests.faults import graph, litert, variants
from device_tests.gates import Gates
from device_tests.targets.target import Target
from export.bundle import Bundle
from export.manifest import ModelEntry

Maker = Callable[[Bundle, ModelEntry, Target], variants.Change]


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong in practice.

    Attributes:
        name: Short, for tables.
        rung: The rung that has to fail.
        about: What went wrong, for people.
        make: The change of the bundle.
        format: Of the model that it is tried on.
        precision: Of that model.
        target: The only target that has the fault; empty for any.
        gates: Tightens the gates where the fault needs it.
    """

    name: str
    rung: str
    about: str
    make: Maker
    format: str = "onnx"
    precision: str = "fp32"
    target: str = ""
    gates: Callable[[Gates, ModelEntry], Gates] = lambda gates, _entry: gates

    def entry(self, bundle: Bundle) -> ModelEntry | None:
        """The model of a bundle that the fault can be tried on."""
        kinds = {(entry.format, entry.precision): entry for entry in bundle.manifest.models}
        return next((entry for kind, entry in kinds.items() if kind == (self.format, self.precision)), None)


def _in_graph(edit: graph.Edit) -> Maker:
    def make(_bundle: Bundle, entry: ModelEntry, _target: Target) -> variants.Change:
        return lambda copy: graph.edited(copy / entry.file, edit)

    return make


def _in_files(change: variants.Change) -> Maker:
    return lambda _bundle, _entry, _target: change


def _size_gate(gates: Gates, entry: ModelEntry) -> Gates:
    return dataclasses.replace(gates, file_bytes=entry.size + 1000)


FAULTS = (
    Fault("unknown operator", "loads", "the graph uses an operator that the runtime lacks",
          _in_graph(graph.use_unknown_operator)),
    Fault("wrong space", "loads", "the bundle claims a space that its model does not belong to",
          _in_files(variants.claim_another_space)),
    Fault("antialias off", "preprocessing", "golden images were resized without antialiasing",
          variants.without_antialiasing),
    Fault("contract's mean/std off", "preprocessing", "preprocess.json states another mean than the model's",
          _in_files(variants.state_another_mean)),
    Fault("BGR instead of RGB", "parity", "the graph reads the channels in the other order",
          _in_graph(graph.swap_channels)),
    Fault("mean/std off", "parity", "the graph scales pixels by another mean and deviation",
          _in_graph(graph.shift_pixels)),
    Fault("weights off by 1 %", "parity", "the largest layer's weights differ by about 1 %",
          _in_graph(graph.perturb_weights)),
    Fault("swapped goldens", "parity", "each golden image has another one's embedding",
          lambda bundle, _entry, _target: variants.goldens_changed(bundle, variants.swapped)),
    Fault("int8 saturated", "retrieval", "activations' ranges were calibrated far too small",
          _in_graph(graph.saturate_activations), precision="int8"),
    Fault("dynamic-range bug", "parity", "tflite-runtime 2.14 misreads dynamic-range files with a scale a channel",
          lambda bundle, entry, _target: litert.with_scales_a_channel(bundle, entry),
          format="litert", precision="int8-dynamic", target="phone-armv7"),
    Fault("file too large", "cost", "the file carries weights that nothing uses",
          _in_graph(graph.add_ballast), gates=_size_gate),
)  # fmt: skip
"""One or more for every rung."""
