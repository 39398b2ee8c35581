"""Rewriting operators of a captured graph, before a converter that gets them wrong sees them."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.fx import GraphModule, Node, Proxy
from torch.fx.node import map_arg
from torch.fx.proxy import GraphAppendingTracer

from export.capture.program import capture

Number = int | float
Rewrite = Callable[..., Any]
"""Called with an operator's arguments, proxies in place of tensors.

Returns a proxy, several for an operator with several results (None for those that it cannot compute), or
NotImplemented to leave the operator unchanged.
"""


def rewritten(program: ExportedProgram, rewrites: Mapping[Any, Rewrite]) -> ExportedProgram:
    """Replace operators by others that compute the same.

    Args:
        program: The program, which is not changed.
        rewrites: Rewrites by operator, for instance ``torch.ops.aten.rms_norm.default``.

    Returns:
        The new program, or the same one if it has no such operator.
    """
    module, names = written_out(program, rewrites)
    if not names:
        return program
    module.recompile()
    image = next(node.meta["val"] for node in module.graph.nodes if node.op == "placeholder")
    any_batch = not isinstance(image.shape[0], int)
    example = torch.zeros((1, *image.shape[1:]), dtype=image.dtype)
    return capture(module, example, any_batch=any_batch)


def written_out(program: ExportedProgram, rewrites: Mapping[Any, Rewrite]) -> tuple[Any, list[Node]]:
    """Return a graph's module with operators replaced, and the replaced ones; it is not compiled again."""
    nodes = [node for node in program.graph.nodes if node.target in rewrites]
    if not nodes:
        return None, []
    module: Any = program.module(check_guards=False)
    own = [node for node in module.graph.nodes if node.target in rewrites]
    return module, [node for node in own if _replace(module, node, rewrites[node.target])]


def shape_of(proxy: Proxy) -> tuple[int, ...]:
    """Return the shape that a tensor was captured with; an open batch is not a number."""
    return tuple(proxy.node.meta["val"].shape)


def dtype_of(proxy: Proxy) -> torch.dtype:
    """Return the type of a tensor's numbers."""
    return proxy.node.meta["val"].dtype


def constant(value: Tensor, like: Proxy) -> Any:
    """Return a constant in the graph of another tensor."""
    graph = like.node.graph
    module: Any = graph.owning_module
    name = next(name for place in itertools.count() if not hasattr(module, name := f"constant_{place}"))
    module.register_buffer(name, value)
    return Proxy(graph.get_attr(name), like.tracer)


def _replace(module: GraphModule, node: Node, rewrite: Rewrite) -> bool:
    graph = module.graph
    tracer = GraphAppendingTracer(graph)
    proxied: Any = lambda given: Proxy(given, tracer)  # noqa: E731
    args, kwargs = map_arg((node.args, node.kwargs), proxied)
    before = set(graph.nodes)
    with graph.inserting_before(node):
        result = rewrite(*args, **kwargs)
    results = {user.args[1]: user for user in node.users if user.target is operator.getitem}
    if result is NotImplemented or any(result[place] is None and user.users for place, user in results.items()):
        return False
    for fresh in set(graph.nodes) - before:
        fresh.meta = {key: node.meta[key] for key in ("nn_module_stack", "stack_trace") if key in node.meta}
    for place, user in results.items():
        if result[place] is not None:
            _take_over(user, result[place].node)
        graph.erase_node(user)
    if not results:
        _take_over(node, result.node)
    graph.erase_node(node)
    return True


def _take_over(old: Node, new: Node) -> None:
    new.meta["val"] = old.meta["val"]
    old.replace_all_uses_with(new)
