"""The rewards of CMP-NAS (arXiv 2105.06047): the quality of a candidate by itself, and beside the cloud."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from hetero.files import digest
from hetero.metrics.registry import in_brief
from hetero.metrics.retrieval import evaluate_tasks
from hetero.models.batch_norm import estimate_statistics
from hetero.models.embed import embed_images
from hetero.models.model import EmbeddingModel
from hetero.nas.evaluation.reward_set import RewardSet
from hetero.nas.space.architecture import Architecture
from hetero.nas.supernet.directory import REWARDS, StoredSupernet, load_supernet
from hetero.nas.supernet.shared_weights import candidate
from hetero.processes.threads import torch_threads


def rewards(model: EmbeddingModel, data: RewardSet, metric: str = "map@r") -> dict[str, float]:
    """Judge a model ``a`` on validation images, as a query model with itself and with the cloud ``g`` as gallery.

    Both galleries hold the same images, distractors among them: see :mod:`hetero.nas.evaluation.reward_set`.

    ``r1 = M(a, a)``, ``r2 = M(a, g)``, ``r3 = r1 * r2``: the paper's rewards, the first of which ignores the cloud.
    They are means over tasks. ``cosine`` is not from the paper: the mean cosine of the model's and the cloud's vectors
    of the same images. A few hundred queries that are right or wrong are a coarse measure, whose accidents a search
    exploits; the cosine changes with every image.

    Returns:
        ``r1``, ``r2``, ``r3``, ``cosine``, and the figures behind the first two in this and every usual metric, for
        instance ``symmetric.cmc@1`` and ``asymmetric.cmc@1``.
    """
    queries = embed_images(model, data.images)
    figures: dict[str, float] = {}
    for side, gallery in (("symmetric", queries), ("asymmetric", data.gallery)):
        result = evaluate_tasks(queries, gallery, data.labels, data.tasks, metrics=in_brief(metric))
        figures |= {f"{side}.{name}": result.mean(name) for name in result.metrics}
    own, beside = figures[f"symmetric.{metric}"], figures[f"asymmetric.{metric}"]
    cosine = float(np.einsum("md,md->m", queries, data.gallery).mean())
    return {"r1": own, "r2": beside, "r3": own * beside, "cosine": cosine, **figures}


@dataclass(frozen=True)
class SupernetReward:
    """Judges a point with its weights from a trained supernet.

    An :class:`hetero.nas.evaluation.evaluate.Evaluate`. Pickled it is a path and three words; a process reads the
    files at its first candidate. It computes with one thread, so that figures do not depend on their number.

    Attributes:
        directory: Directory of the supernet, see :mod:`hetero.nas.supernet.directory`.
        metric: Metric of the rewards.
        batch_norm: True to estimate batch-norm statistics for each candidate. Otherwise it takes the moving averages
            over all the paths that were trained, which fit none of them.
        digest: Digest of everything that the figures depend on, for stored evaluations; see :meth:`of`.
    """

    directory: Path
    metric: str = "map@r"
    batch_norm: bool = True
    digest: str = ""

    @classmethod
    def of(cls, directory: Path, metric: str = "map@r", *, batch_norm: bool = True) -> SupernetReward:
        """Set up the reward of a supernet on disk.

        Raises:
            InputError: When the directory is not a supernet's.
            IntegrityError: When a file is damaged.
        """
        stored = load_supernet(directory)
        return cls(directory.resolve(), metric, batch_norm, digest([stored.identity, metric, batch_norm]))

    def __call__(self, architecture: Architecture) -> dict[str, float]:
        """Return the rewards of one candidate, see :func:`rewards`."""
        stored, data = _opened(self.directory, self.digest)
        with torch_threads(1):
            model = candidate(stored.frame, architecture, stored.shared)
            model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
            if self.batch_norm:
                estimate_statistics(model, torch.from_numpy(data.calibration))
            return rewards(model, data, self.metric)


@functools.lru_cache(maxsize=1)
def _opened(directory: Path, _digest: str) -> tuple[StoredSupernet, RewardSet]:
    return load_supernet(directory), RewardSet.load(directory / REWARDS)
