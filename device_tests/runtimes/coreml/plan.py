"""A prepared program: every operator known and checked, weights decoded, and constants computed once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_tests.runtimes.coreml.errors import NotVerifiedError
from device_tests.runtimes.coreml.operators import OPERATORS, Kernel
from device_tests.runtimes.coreml.operators.batching import Call
from device_tests.runtimes.coreml.operators.registry import Kind, Parameter
from device_tests.runtimes.coreml.program import Argument, Operation, Program, Reference
from device_tests.runtimes.coreml.types import FLOAT16, TensorType
from hetero.errors import IntegrityError

Array = NDArray[Any]
Compute = Callable[["Step", Mapping[str, Array]], tuple[Array, ...]]


@dataclass(frozen=True)
class Step:
    """A call of an operator.

    Attributes:
        operation: The program's operation.
        operator: Its implementation.
        constants: Constant arguments, ready to be passed.
        variables: By parameter, the names of the computed values; None in a list for a constant.
        last_used: Values that are not needed afterwards.
        stacked: True if its results depend on the image, with one entry per image along the first axis.
        memo: The operator's store between calls; None if more than ``x`` is computed.
        given_halves: True if all its arguments are float16 already: rounded results, and such constants.
    """

    operation: Operation
    operator: Kernel
    constants: Mapping[str, Any]
    variables: Mapping[str, tuple[str, ...]]
    last_used: tuple[str, ...] = ()
    stacked: bool = True
    memo: dict[Any, Any] | None = None
    given_halves: bool = False


@dataclass(frozen=True)
class Plan:
    """A program's steps and constants.

    Attributes:
        program: The program that it was made from.
        steps: The steps in order.
        constants: Results that do not depend on the inputs.
        stacks: True if many images can run at once.
        peak_bytes: Most bytes of values needed at one time, with declared shapes, in float32 and for one image.
    """

    program: Program
    steps: tuple[Step, ...]
    constants: Mapping[str, Array]
    stacks: bool
    peak_bytes: int


def make_plan(program: Program, compute: Compute, *, memory_limit: int) -> Plan:
    """Check and prepare a program.

    Args:
        program: The decoded program.
        compute: Runs a step on the values by name; used for constants.
        memory_limit: Largest :attr:`Plan.peak_bytes`.

    Raises:
        NotVerifiedError: For an unknown operator, parameter or option, before anything is computed.
        IntegrityError: For a call that makes no sense, or needs absurd amounts of memory.
    """
    for operation in program.operations:
        _require_known(operation)
    constants: dict[str, Any] = dict(program.constants)
    steps: list[Step] = []
    for operation in program.operations:
        step = _bind(operation, constants)
        if step.variables:
            steps.append(step)
            continue
        results = compute(step, {})
        constants.update({output.name: value for output, value in zip(operation.outputs, results, strict=True)})
    stacked = _stacked(program, steps)
    stacks = stacked is not None and {*program.outputs} <= stacked
    freed, peak = _lifetimes(program, steps)
    if peak > memory_limit:
        raise IntegrityError(f"the program needs {peak} bytes for one image; the limit is {memory_limit}")
    rounded = {item.name for step in steps for item in step.operation.outputs if item.type.element is FLOAT16}
    ready = tuple(
        replace(
            step,
            last_used=last_used,
            stacked=stacked is None or step.operation.name in stacked,
            memo={} if {*step.variables} == {"x"} else None,
            given_halves=_given_halves(step, rounded),
        )
        for step, last_used in zip(steps, freed, strict=True)
    )
    held = {name: as_computed(constants[name]) for name in program.outputs if name in constants}
    return Plan(program, ready, held, stacks, peak)


def _given_halves(step: Step, rounded: set[str]) -> bool:
    given = {name for names in step.variables.values() for name in names}
    constants = [
        np.asarray(item) for one in step.constants.values() for item in (one if isinstance(one, tuple) else (one,))
    ]
    return given <= rounded and all(_are_halves(constant) for constant in constants if constant.dtype.kind == "f")


def _are_halves(values: Array) -> bool:
    with np.errstate(all="ignore"):
        return bool((values.astype(np.float16) == values).all())


def as_computed(value: Array) -> Array:
    """Convert float16 to float32, the type of all computation."""
    return value.astype(np.float32) if value.dtype == np.float16 else value


def _require_known(operation: Operation) -> None:
    operator = OPERATORS.get(operation.type)
    if operator is None:
        raise NotVerifiedError(operation.type, operation.name)
    if unknown := sorted({*operation.arguments} - {*operator.parameters}):
        raise NotVerifiedError(operation.type, operation.name, f"the parameter {unknown[0][:100]!r} is not known")
    required = {name for name, parameter in operator.parameters.items() if parameter.required}
    if missing := sorted(required - {*operation.arguments}):
        raise IntegrityError(f"{operation.type} at {operation.name} lacks {', '.join(missing)}")
    for name, bound in operation.arguments.items():
        if not bound or (len(bound) > 1 and operator.parameters[name].kind != "tensors"):
            raise IntegrityError(f"{operation.type} at {operation.name} has {len(bound)} arguments as {name}")


def _bind(operation: Operation, constants: Mapping[str, Any]) -> Step:
    known = OPERATORS[operation.type]
    ready: dict[str, Any] = {}
    variables: dict[str, tuple[str, ...]] = {}
    for name, bound in operation.arguments.items():
        parameter = known.parameters[name]
        fixed = [_constant(argument, constants) for argument in bound]
        if all(value is not None for value in fixed):
            ready[name] = _handed_over(parameter, fixed, operation, name)
        elif parameter.choices or parameter.kind in ("str", "float", "bool"):
            raise NotVerifiedError(operation.type, operation.name, f"{name} is not a constant")
        else:
            variables[name] = tuple(
                argument.name if value is None and isinstance(argument, Reference) else ""
                for argument, value in zip(bound, fixed, strict=True)
            )
            if any(value is not None for value in fixed):
                ready[name] = tuple(None if value is None else as_computed(value) for value in fixed)
    return Step(operation, known, ready, variables)


def _constant(argument: Argument, constants: Mapping[str, Any]) -> Any:
    return constants.get(argument.name) if isinstance(argument, Reference) else argument


def _handed_over(parameter: Parameter, values: list[Any], operation: Operation, name: str) -> Any:
    what = f"{operation.type} at {operation.name}: {name}"
    if parameter.kind == "str":
        if not isinstance(values[0], str):
            raise IntegrityError(f"{what} is not a text")
        if parameter.choices and values[0] not in parameter.choices:
            raise NotVerifiedError(operation.type, operation.name, f"{name} is {values[0][:100]!r}")
        return values[0]
    if any(isinstance(value, str) for value in values):
        raise IntegrityError(f"{what} is a text")
    if parameter.kind == "tensors":
        return tuple(as_computed(value) for value in values)
    return convert(as_computed(values[0]), parameter.kind, what)


def convert(value: Array, kind: Kind, what: str) -> Any:
    """Convert an argument to the type that its operator takes.

    Args:
        value: float32, an integer or a truth value.
        kind: The parameter's kind.
        what: Names the argument in messages.

    Raises:
        IntegrityError: If it is of another kind.
    """
    if kind == "tensor":
        return value
    kinds = {"int": "iu", "ints": "iu", "bool": "b", "bools": "b", "float": "fiu"}[kind]
    if value.dtype.kind not in kinds or value.ndim != (1 if kind in ("ints", "bools") else 0):
        raise IntegrityError(f"{what} is {value.dtype} {list(value.shape)}, expected {kind}")
    if kind == "float":
        return float(value)
    return tuple(value.tolist()) if value.ndim else value.item()


def _stacked(program: Program, steps: list[Step]) -> frozenset[str] | None:
    """Return the names of the values that hold one row for each image; None if images must be passed one by one."""
    types: dict[str, TensorType] = {item.name: item.type for item in program.inputs}
    types.update({output.name: output.type for step in steps for output in step.operation.outputs})
    if any(item.type.shape[:1] != (1,) or None in item.type.shape for item in program.inputs):
        return None
    stacked = {item.name for item in program.inputs}
    for step in steps:
        call = _call(step, types, stacked)
        if not call.batched:
            continue
        if step.operator.batch is None or not step.operator.batch(call):
            return None
        stacked |= {output.name for output in step.operation.outputs}
    return frozenset(stacked)


def _call(step: Step, types: Mapping[str, TensorType], stacked: set[str]) -> Call:
    shapes: dict[str, tuple[int, ...]] = {}
    batched: set[str] = set()
    others: dict[str, Any] = {}
    for name, parameter in step.operator.parameters.items():
        fixed = step.constants.get(name)
        if parameter.kind == "tensors":
            for index, variable in enumerate(step.variables.get(name, ("",) * len(fixed or ()))):
                key = f"{name}.{index}"
                shapes[key] = types[variable].known_shape if variable else np.shape((fixed or ())[index])
                batched |= {key} if variable in stacked else set()
        elif name in step.variables:
            (variable,) = step.variables[name]
            shapes[name] = types[variable].known_shape
            batched |= {name} if variable in stacked else set()
        elif parameter.kind == "tensor" and fixed is not None:
            shapes[name] = fixed.shape
        elif fixed is not None:
            others[name] = fixed
    outputs = tuple(output.type.known_shape for output in step.operation.outputs)
    return Call(shapes, frozenset(batched), others, outputs)


def _lifetimes(program: Program, steps: list[Step]) -> tuple[list[tuple[str, ...]], int]:
    """Return the values that each step is the last to need, and the most bytes needed at one time."""
    last: dict[str, int] = {}
    for index, step in enumerate(steps):
        for output in step.operation.outputs:
            last[output.name] = index
        for names in step.variables.values():
            last.update({name: index for name in names if name})
    persistent = {*program.outputs}
    freed: list[list[str]] = [[] for _ in steps]
    for name, index in last.items():
        if name not in persistent:
            freed[index].append(name)
    sizes = {item.name: 4 * item.type.size for item in program.inputs}
    live, peak = sum(sizes.values()), sum(sizes.values())
    for index, step in enumerate(steps):
        sizes.update({output.name: 4 * output.type.size for output in step.operation.outputs})
        live += sum(sizes[output.name] for output in step.operation.outputs)
        peak = max(peak, live)
        live -= sum(sizes[name] for name in freed[index])
    return [tuple(names) for names in freed], peak
