"""Running a plan, step by step, in numpy."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from device_tests.runtimes.coreml.errors import NotVerifiedError
from device_tests.runtimes.coreml.operators import Unsupported
from device_tests.runtimes.coreml.plan import Plan, Step, convert, make_plan
from device_tests.runtimes.coreml.program import Operation, Program
from device_tests.runtimes.coreml.rounding import Losses
from device_tests.runtimes.coreml.types import FLOAT16, TensorType
from hetero.errors import IntegrityError

Array = NDArray[Any]
Arithmetic = Literal["float32", "float16"]


class Executor:
    """A program, ready to run.

    Args:
        program: The decoded program.
        arithmetic: ``float32`` computes every floating-point tensor in float32. ``float16`` also computes in float32,
            but rounds each result that the program declares as float16.
        memory_limit: Most bytes of values for one image.

    Raises:
        NotVerifiedError: For an unknown operator, parameter or option.
        IntegrityError: If the program is inconsistent.
    """

    def __init__(self, program: Program, arithmetic: Arithmetic, *, memory_limit: int) -> None:
        self._halves = arithmetic == "float16"
        self._types: dict[tuple[str, int], tuple[TensorType, ...]] = {}
        losses = Losses()
        self.plan: Plan = make_plan(
            program, lambda step, values: self._compute(step, values, 1, losses), memory_limit=memory_limit
        )
        self.constant_losses = losses.incidents()

    def run(self, inputs: Mapping[str, Array], batch: int, losses: Losses) -> dict[str, Array]:
        """Compute the outputs.

        Args:
            inputs: Inputs by name, of the declared types (float32 for float16), ``batch`` images along the first axis.
            batch: 1, or any number if the plan :attr:`~Plan.stacks`.
            losses: Receives the losses by float16.

        Raises:
            IntegrityError: If an operator cannot run as the program declares.
        """
        values = dict(inputs)
        for step in self.plan.steps:
            results = self._compute(step, values, batch, losses)
            for output, value in zip(step.operation.outputs, results, strict=True):
                values[output.name] = value
            for name in step.last_used:
                del values[name]
        return {
            name: values[name] if name in values else self.plan.constants[name] for name in self.plan.program.outputs
        }

    def _compute(self, step: Step, values: Mapping[str, Array], batch: int, losses: Losses) -> tuple[Array, ...]:
        operation, images = step.operation, batch if step.stacked else 1
        expected = self._expected(operation, images)
        half = self._halves and expected[0].element is FLOAT16
        try:
            arguments = _arguments(step, values)
            if "expected" in step.operator.injected:
                arguments["expected"] = expected[0]
            if "batch" in step.operator.injected:
                arguments["batch"] = images
            if "memo" in step.operator.injected:
                arguments["memo"] = {} if step.memo is None else step.memo
            if "rounded" in step.operator.injected:
                arguments["rounded"] = (
                    (lambda found: losses.to_half(found, operation, "intermediate")) if half else _unchanged
                )
            with np.errstate(all="ignore"):
                result = step.operator.run(**arguments)
                results = result if isinstance(result, tuple) else (result,)
                if len(results) != len(expected):
                    raise ValueError(f"it gives {len(results)} results, declared are {len(expected)}")
                settled = tuple(_settled(value, want) for value, want in zip(results, expected, strict=True))
                if self._halves:
                    settled = tuple(
                        self._rounded(value, want, step, arguments, losses)
                        for value, want in zip(settled, expected, strict=True)
                    )
        except Unsupported as reason:
            raise NotVerifiedError(operation.type, operation.name, str(reason)) from None
        except IntegrityError:
            raise
        except (ArithmeticError, LookupError, MemoryError, TypeError, ValueError) as error:
            raise IntegrityError(
                f"{operation.type} at {operation.name} cannot be computed: {str(error)[:500]}"
            ) from None
        return settled

    def _expected(self, operation: Operation, images: int) -> tuple[TensorType, ...]:
        key = (operation.name, images)
        if key not in self._types:
            self._types[key] = tuple(_stacked(output.type, images) for output in operation.outputs)
        return self._types[key]

    def _rounded(
        self, value: Array, want: TensorType, step: Step, arguments: Mapping[str, Any], losses: Losses
    ) -> Array:
        if want.element is not FLOAT16 or (step.operator.exact and step.given_halves):
            return value
        inputs = [item for each in arguments.values() for item in _arrays(each)]
        fresh = value.flags.writeable and not any(np.may_share_memory(value, item) for item in inputs)
        return losses.to_half(value, step.operation, "result", inputs, fresh=fresh)


def _arrays(argument: Any) -> tuple[Array, ...]:
    items = argument if isinstance(argument, tuple) else (argument,)
    return tuple(item for item in items if isinstance(item, np.ndarray))


def _unchanged(values: Array) -> Array:
    return values


def _stacked(declared: TensorType, batch: int) -> TensorType:
    if batch == 1 or not declared.shape:
        return declared
    first = declared.shape[0]
    return dataclasses.replace(declared, shape=(None if first is None else first * batch, *declared.shape[1:]))


def _arguments(step: Step, values: Mapping[str, Array]) -> dict[str, Any]:
    arguments = dict(step.constants)
    for name, variables in step.variables.items():
        kind = step.operator.parameters[name].kind
        if kind == "tensors":
            fixed = arguments.get(name, (None,) * len(variables))
            arguments[name] = tuple(
                values[variable] if variable else value for variable, value in zip(variables, fixed, strict=True)
            )
        else:
            arguments[name] = convert(values[variables[0]], kind, f"{_at(step.operation)}: {name}")
    return arguments


def _settled(value: Any, want: TensorType) -> Array:
    """Return a result as an array of the declared type (float32 for floats).

    Raises:
        ValueError: If it has another type or shape.
    """
    array = np.asarray(value)
    if not want.accepts(array.shape):
        raise ValueError(f"it gives the shape {list(array.shape)}, declared is {want}")
    kinds = "f" if want.element.is_float else "b" if want.element.name == "bool" else "iu"
    if array.dtype.kind not in kinds:
        raise ValueError(f"it gives {array.dtype}, declared is {want}")
    if kinds == "f":
        return array if array.dtype == np.float32 else array.astype(np.float32)
    if array.dtype == want.element.dtype:
        return array
    narrow = array.astype(want.element.dtype)
    if (narrow != array).any():
        raise ValueError(f"it gives numbers that {want.element.name} cannot hold")
    return narrow


def _at(operation: Operation) -> str:
    return f"{operation.type} at {operation.name}"
