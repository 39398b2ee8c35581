"""Constant folding: expressions of weights alone are computed once, before any conversion.

A position embedding that is resized, or weights that are normalised, then need no operator in the exported file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node
from torch.fx.node import map_arg

GROWTH = 4
"""Limit on a folded constant's size, as a multiple of the bytes that it is made from."""
ALWAYS = 4096
"""Number of bytes that it may take in any case."""


def fold_constants(module: GraphModule) -> bool:
    """Replace expressions of weights and constants by their values, in place.

    Not replaced are views of weights, which cost nothing; expressions that are much larger than their inputs, such as
    an expanded constant; values that are written to in place, and random ones.

    Args:
        module: A captured graph as ``ExportedProgram.module`` returns it.

    Returns:
        True if anything was replaced.
    """
    values = _constant_values(module)
    folded = list(dict.fromkeys(_worth_folding(module, values)))
    for place, node in enumerate(folded):
        name = _free_name(module, place)
        module.register_buffer(name, values[node].detach().clone(memory_format=torch.contiguous_format))
        with module.graph.inserting_before(node):
            stored = module.graph.get_attr(name)
        stored.meta = dict(node.meta)
        node.replace_all_uses_with(stored)
    for node in reversed(list(module.graph.nodes)):
        if node in values and not node.users:
            module.graph.erase_node(node)
    if folded:
        module.recompile()
    return bool(folded)


def schema_of(target: Any) -> Any:
    """Return the schema of one of torch's operators; None for Python's own functions."""
    return getattr(target, "_schema", None)


def _constant_values(module: GraphModule) -> dict[Node, Any]:
    """Return all values that depend on weights and constants alone."""
    written = set[Node]()
    while True:
        values = _evaluated(module, written)
        storages = {_storage(values[node]) for node in _written(module) if node in values} - {None}
        more = {node for node, value in values.items() if _storage(value) in storages}
        if not more:
            return values
        written |= more


def _evaluated(module: GraphModule, written: set[Node]) -> dict[Node, Any]:
    values: dict[Node, Any] = {}
    with torch.no_grad():
        for node in module.graph.nodes:
            if node in written:
                continue
            if node.op == "get_attr" and isinstance(value := _attribute(module, str(node.target)), Tensor):
                values[node] = value
            elif _is_pure(node) and all(given in values for given in node.all_input_nodes):
                args, kwargs = map_arg((node.args, node.kwargs), values.__getitem__)
                values[node] = node.target(*args, **kwargs)
    return values


def _is_pure(node: Node) -> bool:
    """Return True if an operator is deterministic and changes nothing."""
    if node.op != "call_function":
        return False
    target: Any = node.target
    if (schema := schema_of(target)) is not None:
        return not schema.is_mutable and torch.Tag.nondeterministic_seeded not in target.tags
    return getattr(node.target, "__module__", "") in ("_operator", "operator")


def _written(module: GraphModule) -> Iterator[Node]:
    """Yield the values that operators write to in place."""
    for node in module.graph.nodes:
        if (schema := schema_of(node.target)) is not None and schema.is_mutable:
            yield from node.all_input_nodes


def _worth_folding(module: GraphModule, values: dict[Node, Any]) -> Iterator[Node]:
    """Return the largest constant expressions that are to be stored."""
    waiting = [node for node in values if any(user not in values for user in node.users)]
    while waiting:
        node = waiting.pop()
        if _is_worth(node, values):
            yield node
        else:
            waiting += node.all_input_nodes


def _is_worth(node: Node, values: dict[Node, Any]) -> bool:
    value = values[node]
    # Values without inputs, such as a range, and views cost a runtime nothing.
    if not isinstance(value, Tensor) or not node.all_input_nodes or value.numel() == 0:
        return False
    if _storage(value) in {_storage(values[given]) for given in node.all_input_nodes}:
        return False
    return value.nbytes <= max(ALWAYS, GROWTH * sum(values[leaf].nbytes for leaf in _leaves(node)))


def _leaves(node: Node) -> set[Node]:
    """Return the weights and stored constants that an expression is made from."""
    visited, waiting = set[Node](), [node]
    while waiting:
        if (reached := waiting.pop()) not in visited:
            visited.add(reached)
            waiting += reached.all_input_nodes
    return {reached for reached in visited if reached.op == "get_attr"}


def _storage(value: Any) -> int | None:
    return value.untyped_storage().data_ptr() if isinstance(value, Tensor) and value.numel() else None


def _attribute(module: GraphModule, path: str) -> Any:
    value: Any = module
    for name in path.split("."):
        value = getattr(value, name)
    return value


def _free_name(module: GraphModule, place: int) -> str:
    name = f"folded_{place}"
    while hasattr(module, name):
        name += "_"
    return name
