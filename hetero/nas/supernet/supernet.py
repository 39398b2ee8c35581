"""The supernet in training: shared weights, seen through one path at a time."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from hetero.models.model import EmbeddingModel
from hetero.nas.space.architecture import Architecture
from hetero.nas.supernet.shared_weights import Frame, candidate, parts, shared_tensors


class Supernet(nn.Module):
    """Shared weights of all points of a search space, as one module that an optimiser can train.

    Its entries are named as :mod:`hetero.nas.supernet.shared_weights` names them. A step trains whichever point is its
    :attr:`path`: gradients, and moving averages of batch norm, reach the parts that the point uses, and no others.

    Attributes:
        frame: What all points have in common.
        path: The point that :meth:`embed` computes.
    """

    def __init__(self, frame: Frame) -> None:
        super().__init__()
        self.frame = frame
        self.path: Architecture = frame.space.largest
        for key, tensor in shared_tensors(frame).items():
            if isinstance(tensor, nn.Parameter):
                self.register_parameter(key, tensor)
            else:
                self.register_buffer(key, tensor)

    @property
    def shared(self) -> dict[str, Tensor]:
        """The shared tensors by name, as they are trained."""
        return self.state_dict(keep_vars=True)

    def embed(self, scaled_pixels: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        """Unit vectors of (augmented) images whose values are scaled to 0..1, by the point on the path."""
        network = self.frame.network(self.path).to(scaled_pixels.device).train(self.training)
        views = parts(network, self.path, self.shared)
        wrapped = _Embed(network)
        return functional_call(wrapped, {f"network.{name}": view for name, view in views.items()}, (scaled_pixels,))

    def forward(self, scaled_pixels: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        """As :meth:`embed`."""
        return self.embed(scaled_pixels)

    def candidate(self, architecture: Architecture) -> EmbeddingModel:
        """A point as a model of its own, with a copy of its weights, in evaluation mode."""
        return candidate(self.frame, architecture, self.shared)


class _Embed(nn.Module):
    """``functional_call`` calls a module; this one calls its network's :meth:`EmbeddingModel.embed`."""

    def __init__(self, network: EmbeddingModel) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        return self.network.embed(pixels)
