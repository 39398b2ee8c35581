"""What a batch is made of: the cloud's vectors are of the very pixels that are shown, live, again, or mixed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric

from hetero.data.augmentation.augment import augment, augmented
from hetero.data.augmentation.config import AugmentConfig
from hetero.data.images import ImageSet
from hetero.errors import InputError, IntegrityError
from hetero.models.external.embedders import ModuleEmbedder
from hetero.preprocessing import Preprocessing
from hetero.training.batches.feed import Fed, Feed
from hetero.training.config import TrainingConfig
from hetero.training.loop.module import CloudTensors
from hetero.training.reference.grown import GrownVectors
from hetero.training.reference.live import LiveCloud
from tests.hetero.training.test_module import tiny

SIDE, BATCH = 8, 6
CHANGES = AugmentConfig(flip=0.5)
IMAGES = ImageSet(
    images=np.random.default_rng(0).integers(0, 256, (12, SIDE, SIDE, 3), dtype=np.uint8),
    labels=np.arange(12) % 3,
    classes=("a", "b", "c"),
    views=np.zeros(12, np.int64),
    view_names=("all",),
    names=tuple("abcdefghijkl"),
    fingerprint="x",
)
CACHED = F.normalize(torch.randn(12, 4, generator=torch.Generator().manual_seed(0)), dim=1)


def feed_of(live: LiveCloud | None = None, *, mixup: float = 0.0, seed: int = 1) -> Feed:
    config = TrainingConfig(batch=BATCH, augment=CHANGES, mixup=mixup)
    cloud = CloudTensors(CACHED, torch.arange(12) % 3, torch.arange(12), live=live)
    return Feed(Fabric(accelerator="cpu", devices=1), IMAGES, config, cloud, by_class=False, seed=seed)


def live_of(share: float) -> LiveCloud:
    return LiveCloud(tiny(3).eval(), share)


def fed(feed: Feed, last: int, first: int = 0) -> list[Fed]:
    return list(feed.batches(first, last))


def answers(live: LiveCloud, batch: Fed) -> torch.Tensor:
    """The cloud model's own vectors of the images that the student sees."""
    assert isinstance(live.model, torch.nn.Module)
    with torch.no_grad():
        return live.model.embed(batch.pixels)


def test_without_a_live_cloud_batches_are_changed_images_and_the_cached_vectors_are_theirs() -> None:
    batch = fed(feed_of(), 1)[0]
    assert batch.targets is None and len(set(batch.rows.tolist())) == BATCH
    assert batch.labels.tolist() == (batch.rows % 3).tolist()
    plain = torch.from_numpy(IMAGES.images[batch.rows.numpy()]).permute(0, 3, 1, 2) / 255
    assert not torch.allclose(batch.pixels, plain)


@pytest.mark.parametrize("share", [1.0, 0.95])  # of six images all
def test_a_live_cloud_is_shown_the_very_images_that_the_student_sees(share: float) -> None:
    live = live_of(share)
    for batch in fed(feed_of(live), 3):
        assert batch.targets is not None
        torch.testing.assert_close(batch.targets, answers(live, batch))
        assert not batch.targets.requires_grad


def test_refreshed_images_come_again_with_the_vectors_of_the_same_pixels() -> None:
    live = live_of(1 / 3)
    clean: list[int] = []
    exact: list[int] = []
    seen: set[bytes] = set()
    again = 0
    for batch in fed(feed_of(live), 40):
        assert batch.targets is not None
        same = (batch.targets - answers(live, batch)).norm(dim=1) < 2e-3  # float16
        cached = (batch.targets == CACHED[batch.rows]).all(dim=1)
        assert (same ^ cached).all()
        clean.append(int(cached.sum()))
        exact.append(int(same.sum()))
        pictures = [pixels.contiguous().numpy().tobytes() for pixels in batch.pixels[same]]
        again += sum(picture in seen for picture in pictures)
        seen.update(pictures)
    assert clean[0] == 4 and exact[0] == 2, "a third of the batch at first"
    assert clean[-1] == 0 and exact[-1] == BATCH, "in the end every image has copies"
    assert len(seen) == 2 * 40, "two new ones a step, and no others"
    assert again == sum(exact) - 2 * 40


def test_a_feed_that_is_continued_gives_the_same_batches(tmp_path: Path) -> None:
    whole = fed(feed_of(live_of(0.5)), 12)
    first = feed_of(live_of(0.5))
    started = first.batches(0, 12)
    for step in range(7):
        next(started)
        if step in (2, 4):
            first.save(tmp_path / "copies.f16")
    assert (tmp_path / "copies.f16").stat().st_size == 5 * 3 * 4 * 2
    second = feed_of(live_of(0.5))
    second.load(tmp_path / "copies.f16", 4)  # the checkpoint is older than the file
    for batch, expected in zip(fed(second, 12, first=4), whole[4:], strict=True):
        assert torch.equal(batch.pixels, expected.pixels) and torch.equal(batch.rows, expected.rows)
        assert batch.targets is not None and expected.targets is not None
        assert torch.equal(batch.targets, expected.targets)
    second.save(tmp_path / "copies.f16")
    assert (tmp_path / "copies.f16").stat().st_size == 12 * 3 * 4 * 2
    with pytest.raises(IntegrityError, match="does not hold the vectors of 13 steps"):
        second.load(tmp_path / "copies.f16", 13)


def test_vectors_are_kept_in_half_precision_at_length_one() -> None:
    kept = GrownVectors(2, 4)
    for start in (0, 2, 4):
        kept.add(CACHED[start : start + 2])
    found = kept.of(np.array([5, 0, 3]))
    torch.testing.assert_close(found, CACHED[[5, 0, 3]], atol=1e-3, rtol=0)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(3))


def test_mixtures_of_pixels_and_vectors_by_hand() -> None:
    shares: list[float] = []
    for batch, plain in zip(fed(feed_of(mixup=1.0), 30), fed(feed_of(), 30), strict=True):
        assert batch.targets is not None
        assert (batch.rows == -1).all() and (batch.labels == -1).all()
        vectors = CACHED[plain.rows]
        share, partners = unmixed(batch.pixels, plain.pixels)
        shares.append(share)
        expected = share * vectors + (1 - share) * vectors[partners]
        torch.testing.assert_close(batch.targets, expected / expected.norm(dim=1, keepdim=True), atol=1e-4, rtol=0)
    assert 0.4 < np.mean(shares) < 0.6 and np.std(shares) > 0.2, "uniform for Beta(1, 1)"


def unmixed(mixed: torch.Tensor, plain: torch.Tensor) -> tuple[float, list[int]]:
    """One share for all, and each image's partner: the pair of images whose mixture fits best, by least squares."""
    shares, partners = list[float](), list[int]()
    for image, own in zip(mixed, plain, strict=True):
        fits = []
        for place, other in enumerate(plain):
            way = (own - other).flatten()
            share = float((image - other).flatten() @ way / (way @ way).clamp(min=1e-9))
            fits.append((float((share * own + (1 - share) * other - image).norm()), place, share))
        error, place, share = min(fits)
        assert error < 1e-3
        if torch.allclose(image, own):  # its own partner: any share fits
            partners.append(next(at for at, other in enumerate(plain) if torch.equal(other, own)))
        else:
            partners.append(place)
            shares.append(share)
    assert np.ptp(shares) < 1e-3
    return shares[0], partners


def test_a_live_cloud_is_shown_mixtures_and_a_refreshed_one_has_its_vectors_mixed() -> None:
    live = live_of(1.0)
    batch = fed(feed_of(live, mixup=0.5), 1)[0]
    torch.testing.assert_close(batch.targets, answers(live, batch))
    refreshed = fed(feed_of(live_of(0.5), mixup=0.5), 8)[-1]
    assert refreshed.targets is not None
    torch.testing.assert_close(refreshed.targets.norm(dim=1), torch.ones(BATCH))
    repeated = fed(feed_of(live_of(0.5), mixup=0.5), 8)[-1]
    assert repeated.targets is not None and torch.equal(refreshed.targets, repeated.targets)


def test_mixtures_have_no_class() -> None:
    with pytest.raises(InputError, match="mixup .* a mixed image has no class.*set mixup = 0"):
        Feed(
            Fabric(accelerator="cpu", devices=1),
            IMAGES,
            TrainingConfig(batch=BATCH, mixup=0.2),
            CloudTensors(CACHED, torch.arange(12) % 3, torch.arange(12)),
            by_class=True,
            seed=0,
        )


def test_a_live_cloud_of_others_is_given_uint8_images() -> None:
    class Means(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.adaptive_avg_pool2d(images, (1, 2)).flatten(1)[:, :4]

    live = LiveCloud(ModuleEmbedder(Means(), Preprocessing(SIDE, SIDE), takes="scaled"), 1.0)
    batch = fed(feed_of(live), 1)[0]
    rounded = (batch.pixels * 255).round() / 255
    torch.testing.assert_close(batch.targets, F.normalize(Means()(rounded), dim=1))


def test_numbers_that_change_an_image_are_those_of_the_whole_batch() -> None:
    """One draw for both models: a part of a batch is changed as it is in the whole."""
    generator = torch.Generator().manual_seed(5)
    pixels = torch.from_numpy(IMAGES.images)
    whole = augment(pixels, CHANGES, generator)
    drawn = torch.rand((14, 12), generator=torch.Generator().manual_seed(5))
    places = np.array([1, 4, 9])
    assert torch.equal(augmented(pixels[places], CHANGES, drawn[:, places]), whole[places])
