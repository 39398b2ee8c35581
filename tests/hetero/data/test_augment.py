from __future__ import annotations

import pytest
import torch

from hetero.data.augmentation.augment import Frame, augment, augmented, random_numbers
from hetero.data.augmentation.config import AugmentConfig
from hetero.errors import InputError

NOTHING = AugmentConfig(rotation=0.0, scale=(1.0, 1.0), shift=0.0, grey=0.0, brightness=0.0, contrast=0.0)


def images(count: int = 4, height: int = 16, width: int = 16) -> torch.Tensor:
    return torch.randint(0, 256, (count, height, width, 3), dtype=torch.uint8, generator=seeded(7))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def as_floats(pixels: torch.Tensor) -> torch.Tensor:
    return pixels.permute(0, 3, 1, 2).float() / 255


def with_(**changes: object) -> AugmentConfig:
    import dataclasses

    return dataclasses.replace(NOTHING, **changes)  # type: ignore[arg-type]


def test_nothing_asked_for_changes_nothing() -> None:
    assert torch.equal(augment(images(), NOTHING, seeded()), as_floats(images()))


def test_a_step_repeats_bit_by_bit_and_the_next_one_differs() -> None:
    everything = AugmentConfig(flip=0.5, blur=0.5, erase=0.5)
    generator = seeded(3)
    first, second = augment(images(), everything, generator), augment(images(), everything, generator)
    assert torch.equal(first, augment(images(), everything, seeded(3)))
    assert not torch.equal(first, second)
    assert first.shape == (4, 3, 16, 16) and first.dtype == torch.float32
    assert first.min() >= 0 and first.max() <= 1


def test_a_part_of_a_batch_is_changed_as_it_is_in_the_whole() -> None:
    everything = AugmentConfig(flip=0.5, blur=0.5, erase=0.5)
    whole = augment(images(5), everything, seeded(3))
    parts = [augment(images(5)[a:b], everything, seeded(3), first=a, count=5) for a, b in ((0, 2), (2, 5))]
    assert torch.allclose(torch.cat(parts), whole, atol=1e-6)


def test_large_images_are_changed_a_few_at_a_time_as_they_are_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = AugmentConfig(flip=0.5, blur=0.5, erase=0.5)
    pixels, random = images(5), random_numbers(5, seeded(3))
    frame = Frame(1.5, 0.5 + torch.rand((5, 2), generator=seeded(4)))
    whole = augmented(pixels, everything, random, frame)
    monkeypatch.setattr("hetero.data.augmentation.augment._VALUES_AT_ONCE", 2 * 3 * 16 * 16)
    assert torch.allclose(augmented(pixels, everything, random, frame), whole, atol=1e-6)


def test_turning_one_off_leaves_the_others_as_they_were() -> None:
    grey = augment(images(64), with_(grey=0.5), seeded())
    both = augment(images(64), with_(grey=0.5, erase=0.5), seeded())
    colourless = [(batch.amax(1) - batch.amin(1)).amax((1, 2)) < 1e-6 for batch in (grey, both)]
    assert torch.equal(*colourless) and 16 < colourless[0].sum() < 48
    assert torch.allclose(grey[0, 0], _luma(images(64))[0], atol=1e-5) == bool(colourless[0][0])


def _luma(pixels: torch.Tensor) -> torch.Tensor:
    return (as_floats(pixels) * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1)


@pytest.mark.parametrize("ground", [0, 255])
def test_what_comes_in_from_outside_is_ground(ground: int) -> None:
    plain = torch.full((32, 16, 16, 3), ground, dtype=torch.uint8)
    moved = augment(plain, with_(rotation=45.0, scale=(0.5, 1.5), shift=0.3, ground=ground), seeded())
    assert torch.allclose(moved, torch.full_like(moved, ground / 255), atol=1e-5)


def _dot(height: int, width: int) -> torch.Tensor:
    """A white ground with a black dot of 3 x 3 pixels, off the centre: to the right and up."""
    pixels = torch.full((200, height, width, 3), 255, dtype=torch.uint8)
    y, x = height // 2 - 10, width // 2 + 6
    pixels[:, y - 1 : y + 2, x - 1 : x + 2] = 0
    return pixels


def _place(batch: torch.Tensor) -> torch.Tensor:
    """The dot's centre from the image's centre, in pixels: [b, 2] as (x, y)."""
    darkness = 1 - batch.mean(1)
    height, width = darkness.shape[1:]
    weight = darkness.sum((1, 2))
    x = (darkness.sum(1) * (torch.arange(width) + 0.5 - width / 2)).sum(1) / weight
    y = (darkness.sum(2) * (torch.arange(height) + 0.5 - height / 2)).sum(1) / weight
    return torch.stack([x, y], 1)


@pytest.mark.parametrize(("height", "width"), [(48, 48), (48, 96)])
def test_rotation_keeps_distances_and_stays_within_the_angle(height: int, width: int) -> None:
    before = _place(as_floats(_dot(height, width)))[0]
    after = _place(augment(_dot(height, width), with_(rotation=30.0), seeded()))
    assert torch.allclose(after.norm(dim=1), before.norm().expand(200), atol=0.2)
    angles = torch.rad2deg(torch.atan2(after[:, 1], after[:, 0]) - torch.atan2(before[1], before[0]))
    assert angles.abs().max() <= 30.5
    assert angles.max() > 25 and angles.min() < -25


def test_scale_and_shift_stay_within_bounds() -> None:
    before = _place(as_floats(_dot(48, 48)))[0]
    grown = _place(augment(_dot(48, 48), with_(scale=(0.8, 1.25)), seeded())).norm(dim=1) / before.norm()
    assert 0.79 < grown.min() < 0.85 and 1.2 < grown.max() < 1.26
    shifted = (_place(augment(_dot(48, 48), with_(shift=0.125), seeded())) - before).abs()
    assert shifted.max() <= 6.05 and shifted.amax(0).min() > 5


def test_flip_mirrors_the_share_asked_for() -> None:
    before = _place(as_floats(_dot(48, 48)))[0]
    after = _place(augment(_dot(48, 48), with_(flip=0.25), seeded()))
    mirrored = (after[:, 0] + before[0]).abs() < 0.1
    assert ((after[:, 0] - before[0]).abs()[~mirrored] < 0.1).all()
    assert 30 < mirrored.sum() < 70
    assert torch.allclose(after[:, 1], before[1].expand(200), atol=0.1)


def test_a_flip_alone_moves_pixels_and_a_flip_in_a_resampling_agrees_with_it() -> None:
    batch = images(64)
    alone = augment(batch, with_(flip=0.5), seeded())
    resampled = augment(batch, with_(flip=0.5, rotation=1e-4), seeded())
    assert torch.allclose(alone, resampled, atol=1e-3)
    mirrored = torch.tensor([not torch.equal(one, plain) for one, plain in zip(alone, as_floats(batch), strict=True)])
    assert torch.equal(alone[mirrored], as_floats(batch)[mirrored].flip(3)) and 20 < mirrored.sum() < 44


def test_colours_lost_and_changed_together_recomputed_by_hand() -> None:
    batch = images(64)
    drawn = torch.rand((14, 64), generator=seeded())
    result = augment(batch, with_(grey=0.5, brightness=0.2, contrast=0.3), seeded())
    luma = _luma(batch)[:, None]
    for image in range(64):
        plain = luma[image].expand(3, 16, 16) if drawn[5, image] < 0.5 else as_floats(batch)[image]
        brightness, contrast = 1 + 0.2 * (2 * drawn[6, image] - 1), 1 + 0.3 * (2 * drawn[7, image] - 1)
        expected = ((plain - luma[image].mean()) * contrast + luma[image].mean()) * brightness
        assert torch.allclose(result[image], expected.clamp(0, 1), atol=1e-5)


def test_brightness_and_contrast_recomputed_by_hand() -> None:
    pixels = torch.full((100, 4, 4, 3), 100, dtype=torch.uint8)
    level = augment(pixels, with_(brightness=0.2), seeded())[:, 0, 0, 0] * 255
    assert 80 <= level.min() < 84 and 116 < level.max() <= 120
    pixels[:, :2] = 50
    pixels[:, 2:] = 150
    result = augment(pixels, with_(contrast=0.5), seeded()) * 255
    assert torch.allclose(result.mean((1, 2, 3)), torch.full((100,), 100.0), atol=1e-2)
    spread = result[:, 0, 3, 0] - result[:, 0, 0, 0]
    assert 50 <= spread.min() < 56 and 144 < spread.max() <= 150.01


def test_blur_of_a_dot_by_hand() -> None:
    pixels = torch.zeros((1, 5, 5, 3), dtype=torch.uint8)
    pixels[0, 2, 2] = 255
    blurred = augment(pixels, with_(blur=1.0), seeded())
    expected = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
    assert torch.allclose(blurred[0, 0, 1:4, 1:4], expected, atol=1e-6)
    assert blurred[0, 0].sum() == pytest.approx(1.0)


def test_erased_rectangles_have_the_area_asked_for() -> None:
    black = torch.zeros((500, 40, 40, 3), dtype=torch.uint8)
    erased = augment(black, with_(erase=0.5, erase_area=(0.1, 0.2)), seeded())[:, 0]
    share = erased.mean((1, 2))
    hit = share > 0
    assert 200 < hit.sum() < 300
    assert share[hit].min() > 0.07 and share[hit].max() < 0.24
    first = erased[hit][0]
    assert torch.equal(first, first.amax(1, keepdim=True) * first.amax(0, keepdim=True)), "one rectangle"


def test_values_out_of_range_come_together() -> None:
    with pytest.raises(InputError) as caught:
        AugmentConfig(rotation=200.0, grey=1.5, shift=1.0, scale=(-1.2, 0.8), ground=300)
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        "rotation",
        "scale.0",
        "shift",
        "grey",
        "ground",
    ]
    with pytest.raises(InputError, match="scale: expected the smallest value first"):
        AugmentConfig(scale=(1.2, 0.8))
