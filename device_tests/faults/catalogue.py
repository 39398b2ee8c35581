"""The faults, each with the rung that has to catch it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from device_tests.checks.finding import Status
from device_tests.checks.gates import Gates
from device_tests.faults import graph, litert, outputs, variants
from device_tests.targets.target import Target
from export.bundle.goldens import Goldens
from export.bundle.manifest import ModelEntry
from export.bundle.reading import Bundle

_COLLAPSED, _OFFSET = 1 / 6, 0.42

Maker = Callable[[Bundle, ModelEntry, Target], variants.Change]


@dataclass(frozen=True)
class Fault:
    """A fault that occurs in practice.

    Attributes:
        name: Short, for tables.
        rung: The rung that has to fail.
        about: Description, for people.
        make: The change to the bundle.
        format: Format of the model that it is tried on.
        precision: Precision of that model.
        target: The only target that has the fault; empty for any.
        gates: Tightens the gates if the fault needs it.
        or_rung: Another rung that may fail instead; empty for none.
        answer: The required answer of the rung: ``fail``, or ``not verified`` if the fault takes away its proof.
    """

    name: str
    rung: str
    about: str
    make: Maker
    format: str = "onnx"
    precision: str = "fp32"
    target: str = ""
    gates: Callable[[Gates, ModelEntry], Gates] = lambda gates, _entry: gates
    or_rung: str = ""
    answer: Status = "fail"

    @property
    def expected(self) -> tuple[str, ...]:
        """The rungs of which one has to fail."""
        return (self.rung, self.or_rung) if self.or_rung else (self.rung,)

    def entry(self, bundle: Bundle) -> ModelEntry | None:
        """Return the model of a bundle that the fault can be tried on."""
        kinds = {(entry.format, entry.precision): entry for entry in bundle.manifest.models}
        return next((entry for kind, entry in kinds.items() if kind == (self.format, self.precision)), None)


def _in_graph(edit: graph.Edit) -> Maker:
    def make(_bundle: Bundle, entry: ModelEntry, _target: Target) -> variants.Change:
        return lambda copy: graph.edited(copy / entry.file, edit)

    return make


def _in_files(change: variants.Change) -> Maker:
    return lambda _bundle, _entry, _target: change


def _in_goldens(changes: Callable[[Goldens], Mapping[str, Any]]) -> Maker:
    return lambda bundle, _entry, _target: variants.goldens_changed(bundle, changes)


def _limited_pixels(bundle: Bundle, entry: ModelEntry, target: Target) -> variants.Change:
    return _in_graph(graph.limited_pixels(bundle.goldens.golden_images))(bundle, entry, target)


def _unnormalised(bundle: Bundle, entry: ModelEntry, target: Target) -> variants.Change:
    return _in_graph(graph.unnormalised(bundle.preprocessing))(bundle, entry, target)


def _zero_point_off(bundle: Bundle, entry: ModelEntry, target: Target) -> variants.Change:
    goldens = bundle.goldens
    return _in_graph(outputs.offset(goldens.retrieval_cloud[goldens.tasks[0].gallery[0]], _OFFSET))(
        bundle, entry, target
    )


def _dark_images_collapse(bundle: Bundle, entry: ModelEntry, target: Target) -> variants.Change:
    queries = bundle.goldens.retrieval_images[bundle.goldens.query_rows]
    grey = float(np.quantile(queries.mean(axis=(1, 2, 3)), _COLLAPSED))
    return _in_graph(outputs.collapse_below(grey))(bundle, entry, target)


def _above_own(gates: Gates, _entry: ModelEntry) -> Gates:
    return dataclasses.replace(gates, above_own=True)


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
          _in_goldens(variants.swapped)),
    Fault("int8 saturated", "retrieval", "activations' ranges were calibrated far too small",
          _in_graph(graph.saturate_activations), precision="int8"),
    Fault("dynamic-range bug", "parity", "tflite-runtime 2.14 misreads dynamic-range files with a scale a channel",
          lambda bundle, entry, _target: litert.with_scales_a_channel(bundle, entry),
          format="litert", precision="int8-dynamic", target="phone-armv7"),
    Fault("contract's filter off", "preprocessing", "preprocess.json is another cloud's, with another resizing filter",
          _in_files(variants.state_another_filter)),
    Fault("pixels of 16 to 235", "parity", "the graph clips pixels to the range of video",
          _limited_pixels),
    Fault("earlier checkpoint", "parity", "the file holds another training's weights, about 5 % away",
          _in_graph(graph.perturb_every_layer)),
    Fault("length left out", "parity", "the last layer, which brings vectors to length one, is missing",
          _in_graph(outputs.leave_length)),
    Fault("one golden image", "parity", "all golden images are one, which no model can be told by",
          _in_goldens(variants.one_image), answer="not verified"),
    Fault("stale goldens, int8", "parity", "golden embeddings are an earlier model's, 10 degrees away",
          _in_goldens(variants.stale), precision="int8"),
    Fault("int8 of another graph", "parity", "the reduced file reads images upside down; the float32 file does not",
          _in_graph(graph.turn_upside_down), precision="int8"),
    Fault("int8 within 26 degrees", "parity", "the int8 output's zero point is off, by at most 25 degrees",
          _zero_point_off, precision="int8"),
    Fault("int8 not normalised", "parity", "mean and standard deviation are left out of the int8 file alone",
          _unnormalised, precision="int8", or_rung="retrieval"),
    Fault("int8 scales rotated", "parity", "each channel's weights, or layer's, are read with its neighbour's scale",
          _in_graph(graph.rotate_scales), precision="int8"),
    Fault("int8 dimensions permuted", "parity", "the int8 file gives the embedding's numbers in another order",
          _in_graph(outputs.reverse_dimensions), precision="int8"),
    Fault("int8 nearly constant", "parity", "the int8 file gives nearly one vector for every image",
          _in_graph(outputs.flatten), precision="int8"),
    Fault("dark images collapse", "parity", "the int8 file gives one vector for the darkest sixth of the images",
          _dark_images_collapse, precision="int8"),
    Fault("another cloud's gallery", "retrieval", "the gallery is of a cloud that the student was not trained for",
          _in_goldens(variants.another_cloud), gates=_above_own),
    Fault("gallery permuted", "retrieval", "the gallery's vectors stand in another order than its images",
          _in_goldens(variants.permuted_gallery), gates=_above_own),
    Fault("swapped texts", "text", "each golden text has another one's vector",
          _in_goldens(variants.swapped_texts)),
    Fault("another text tower", "text", "the golden texts are of another space's text tower",
          _in_goldens(variants.another_tower)),
    Fault("student of another space", "text", "gallery and texts are of a space that the student was not trained for",
          _in_goldens(variants.another_space)),
    Fault("file too large", "cost", "the file carries weights that nothing uses",
          _in_graph(graph.add_ballast), gates=_size_gate),
)  # fmt: skip
"""The faults, at least one for every rung that a bundle's own content can answer."""
