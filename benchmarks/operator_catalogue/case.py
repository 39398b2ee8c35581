"""What a catalogue entry is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn

SHAPE = (1, 4, 8, 8)
"""Of the feature map: batch, channels, height, width."""


class Case(nn.Module):
    """An operator with its options.

    Args:
        compute: The operator, called with the feature map and the weights.
        weights: Tensors by the name that ``compute`` takes them under.
    """

    def __init__(self, compute: Callable[..., Tensor], weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self._compute = compute
        self._names = tuple(weights)
        for name, weight in weights.items():
            self.register_buffer(name, weight)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the operator."""
        return self._compute(x, **{name: getattr(self, name) for name in self._names})


class Then(nn.Module):
    """An operator behind another.

    Args:
        before: Called with the feature map.
        after: Called with what that gives.
    """

    def __init__(self, before: Callable[[Tensor], Tensor], after: nn.Module) -> None:
        super().__init__()
        self._before = before
        self.after = after

    def forward(self, x: Tensor) -> Tensor:
        """Compute one after the other."""
        return self.after(self._before(x))
