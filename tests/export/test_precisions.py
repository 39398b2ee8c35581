from __future__ import annotations

import pytest

from export.formats import BUILT_IN
from export.kinds.precision import PRECISIONS, Offer, Refusal
from export.precision.table import offer, offered, refused, selection_problems
from hetero.errors import InputError


def test_every_pair_is_offered_or_refused_with_words() -> None:
    for entry in (format.precisions[precision] for format in BUILT_IN for precision in PRECISIONS):
        if isinstance(entry, Refusal):
            assert len(entry.why) > 20
        else:
            assert isinstance(entry, Offer) and entry.made and entry.runs_on and 0 < entry.goal < 1


def test_each_format_takes_its_own() -> None:
    chosen = offered(("onnx", "coreml"), ("fp32", "int8", "palette4"))
    assert chosen == [("onnx", "fp32"), ("onnx", "int8"), ("coreml", "fp32"), ("coreml", "palette4")]
    assert set(refused(("onnx", "coreml"), ("fp32", "int8", "palette4"))) == {("onnx", "palette4"), ("coreml", "int8")}
    assert selection_problems(("onnx", "coreml"), ("fp32", "int8", "palette4")) == []


def test_refusals() -> None:
    with pytest.raises(InputError, match="coreml int8: int8 activations need iOS 17"):
        offer("coreml", "int8")
    assert selection_problems((), ("fp32",)) == ["name at least one format and one precision"]
    assert selection_problems(("onnx", "onnx"), ("fp32",)) == ["a format or precision is named twice"]
