"""The supernet in training: shared weights, used along one path at a time."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from hetero.models.model import EmbeddingModel
from hetero.nas.space.architecture import Architecture
from hetero.nas.supernet.shared_weights import Frame, candidate, parts, shared_tensors


class Supernet(nn.Module):
    """Shared weights of all points of a search space, as one module that an optimiser can train.

    Its entries are named as in :mod:`hetero.nas.supernet.shared_weights`. A step trains the point that :attr:`path`
    names: gradients, and moving averages of batch norm, reach the parts that the point uses, and no others.

    Attributes:
        frame: The properties that all points share.
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
        """Return unit vectors of (augmented) images whose values are scaled to 0..1, by the point on the path."""
        network = self.frame.network(self.path).to(scaled_pixels.device).train(self.training)
        views = parts(network, self.path, self.shared)
        wrapped = _Embed(network)
        return functional_call(wrapped, {f"network.{name}": view for name, view in views.items()}, (scaled_pixels,))

    def forward(self, scaled_pixels: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        """Call :meth:`embed`."""
        return self.embed(scaled_pixels)

    def candidate(self, architecture: Architecture) -> EmbeddingModel:
        """Return a point as a separate model, with a copy of its weights, in evaluation mode."""
        return candidate(self.frame, architecture, self.shared)


class _Embed(nn.Module):
    """``functional_call`` calls a module; this one calls its network's :meth:`EmbeddingModel.embed`."""

    def __init__(self, network: EmbeddingModel) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        return self.network.embed(pixels)
