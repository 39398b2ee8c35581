"""A model and its objectives together with the cloud's tensors, as Fabric sets them up."""

from __future__ import annotations

from jaxtyping import Float, Int
from lightning_fabric import Fabric
from torch import Tensor, nn

from hetero.data.embeddings.mapped import MappedVectors
from hetero.training.loop.module import CloudTensors, TrainingModule


class BesideCloud(nn.Module):
    """Holds the cloud's tensors, because mixed precision would take apart and convert them as arguments.

    Args:
        module: Model and objectives.
        cloud: The cloud's tensors, on the module's device.

    Attributes:
        targets: float32 [b, c], the cloud's vectors of the next batch; None when these are the cached ones of its rows.
    """

    def __init__(self, module: TrainingModule, cloud: CloudTensors | None) -> None:
        super().__init__()
        self.module = module
        self.cloud = cloud
        self.targets: Float[Tensor, "b c"] | None = None

    def forward(
        self, pixels: Float[Tensor, "m 3 h w"], labels: Int[Tensor, " b"], rows: Int[Tensor, " b"]
    ) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """Call :meth:`TrainingModule.forward` with the cloud's tensors."""
        return self.module(pixels, labels, rows, self.cloud, self.targets)


def on_device(fabric: Fabric, cloud: CloudTensors | None) -> CloudTensors | None:
    """Move the cloud's tensors, and the cloud model where it runs live, to this rank's device."""
    if cloud is None:
        return None

    def here(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else fabric.to_device(tensor)

    vectors = cloud.embeddings
    return CloudTensors(
        vectors if isinstance(vectors, MappedVectors) else fabric.to_device(vectors),
        fabric.to_device(cloud.labels),
        fabric.to_device(cloud.bank),
        sources=here(cloud.sources),
        prototypes=here(cloud.prototypes),
        texts=here(cloud.texts),
        mean=here(cloud.mean),
        live=cloud.live and cloud.live.on(fabric),
    )
