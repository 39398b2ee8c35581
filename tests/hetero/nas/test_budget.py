"""Budgets: what is read, what is refused, and that reading and writing agree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetero.errors import InputError
from hetero.nas.cost.budget import Budget, Limit, divided_by

COSTS = {"macs": 2e7, "parameters": 3e5, "size_mb": 1.0, "latency_ms.litert": 2.0}


def test_the_example_of_the_docs_is_read():
    budget = Budget.parse("macs <= 20M and size_mb <= 1 and latency_ms.litert <= 2")
    assert budget.limits == (Limit("macs", 2e7), Limit("size_mb", 1.0), Limit("latency_ms.litert", 2.0))
    assert budget.allows(COSTS)


@pytest.mark.parametrize("more", ["macs", "size_mb", "latency_ms.litert"])
def test_every_limit_counts(more):
    budget = Budget.parse("macs <= 20M and size_mb <= 1 and latency_ms.litert <= 2")
    (line,) = budget.exceeded({**COSTS, more: COSTS[more] * 1.01})
    assert line.startswith(f"{more} <=")


def test_instructions_are_limited_in_millions():
    (limit,) = Budget.parse("instructions.litert <= 20M").limits
    assert limit == Limit("instructions.litert", 2e7)


def test_without_limits_everything_is_allowed():
    assert Budget.parse("  ").allows({})


def test_shares_of_the_cloud_are_resolved():
    budget = Budget.parse("macs<=cloud/40 and parameters <= 0.5*cloud")
    with pytest.raises(InputError, match="resolve"):
        budget.allows(COSTS)
    known = budget.resolved({"macs": 8e8, "parameters": 4e6})
    assert known.limits == (Limit("macs", 2e7), Limit("parameters", 2e6))
    with pytest.raises(InputError, match="parameters is not known"):
        budget.resolved({"macs": 8e8})


def test_a_quantity_that_was_not_measured_is_named():
    with pytest.raises(InputError, match=r"latency_ms\.litert.*known are macs"):
        Budget.parse("latency_ms.litert <= 2").allows({"macs": 1.0})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("macs < 20M", "upper limits"),
        ("macs >= 20M", "upper limits"),
        ("macs 20M", "upper limits"),
        ("macs <=", "expected a number"),
        ("macs <= 20X", "expected a number"),
        ("macs <= -1", "expected a number"),
        ("macs <= 0", "above 0"),
        ("macs <= 1e999", "above 0"),
        ("macs <= cloud/0", "above 0"),
        ("flops <= 1", "expected one of macs"),
        ("latency_ms <= 1", "expected one of macs"),
        ("instructions. <= 1", "expected one of macs"),
        ("partitions <= 1", "expected one of macs"),
        ("partitions.nnapi <= cloud/2", "share of the cloud"),
        ("size_mb <= cloud/2", "share of the cloud"),
        ("macs <= 1 and", "expected a limit"),
        ("macs <= 1 or size_mb <= 1", "expected a number"),
        ("macs <= 1 and macs <= 2", "limited 2 times"),
        ("macs <= __import__('os').getpid()", "expected a number"),
    ],
)
def test_what_cannot_be_read_is_refused(text, says):
    with pytest.raises(InputError, match=says):
        Budget.parse(text)


def test_partitions_are_limited_by_accelerator():
    budget = Budget.parse("macs <= 1M and partitions.coreml-ep <= 1")
    assert str(budget) == "macs <= 1M and partitions.coreml-ep <= 1"
    assert [divided_by(name) for name in budget.quantities] == ["", "coreml-ep"]
    assert budget.exceeded({"macs": 1.0, "partitions.coreml-ep": 2.0}) == ["partitions.coreml-ep <= 1: takes 2"]


def test_all_mistakes_are_told_at_once():
    with pytest.raises(InputError) as caught:
        Budget.parse("macs < 1 and flops <= 2 and size_mb <= much")
    assert len(caught.value.problems) == 3


QUANTITIES = st.sampled_from(["macs", "parameters", "size_mb", "latency_ms.litert", "instructions.onnxruntime"])
LIMITS = st.builds(Limit, QUANTITIES, st.floats(1e-6, 1e12)) | st.builds(
    Limit, st.sampled_from(["macs", "parameters"]), st.floats(1e-6, 1e3), st.just(True)
)


@given(st.lists(LIMITS, max_size=5, unique_by=lambda limit: limit.quantity))
def test_what_is_written_is_read_back(limits):
    budget = Budget(tuple(limits))
    assert Budget.parse(str(budget)) == budget


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text):
    try:
        budget = Budget.parse(text)
    except InputError:
        return
    assert Budget.parse(str(budget)) == budget


@given(st.floats(0, 1e10), st.floats(1e-3, 1e10))
def test_a_limit_is_inclusive(value, most):
    assert Budget((Limit("macs", most),)).allows({"macs": value}) == (value <= most)
