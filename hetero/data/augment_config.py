"""How much a training image may change; read from recipes, so without torch."""

from __future__ import annotations

from hetero.errors import InputError
from hetero.schema import record


@record
class AugmentConfig:
    """How much a training image may change. The defaults suit drawings of one thing in several designs.

    Attributes:
        rotation: Largest angle in degrees, either way.
        scale: Smallest and largest factor of size.
        shift: Largest shift, as a share of the image's side.
        flip: Probability of mirroring left and right; not for data where direction tells things apart.
        grey: Probability of losing all colour.
        brightness: Largest relative change of brightness.
        contrast: Largest relative change of contrast.
        blur: Probability of a light blur.
        erase: Probability of covering a rectangle.
        erase_area: Smallest and largest share of the image that the rectangle covers.
        ground: Grey level, 0 to 255, of what comes in from outside; normally the preprocessing's ``pad_value``.
    """

    rotation: float = 15.0
    scale: tuple[float, float] = (0.8, 1.2)
    shift: float = 0.1
    flip: float = 0.0
    grey: float = 0.3
    brightness: float = 0.2
    contrast: float = 0.2
    blur: float = 0.0
    erase: float = 0.0
    erase_area: tuple[float, float] = (0.02, 0.2)
    ground: int = 255

    def require_valid(self) -> None:
        """Refuse values out of range, all at once.

        Raises:
            InputError: With one line a problem.
        """
        problems = [
            f"{name}: expected a probability between 0 and 1, got {value}"
            for name in ("flip", "grey", "blur", "erase")
            if not 0 <= (value := getattr(self, name)) <= 1
        ]
        problems += [
            f"{name}: expected 0 to less than 1, got {value}"
            for name in ("shift", "brightness", "contrast")
            if not 0 <= (value := getattr(self, name)) < 1
        ]
        problems += [
            f"{name}: expected a smallest and a largest value above 0, got {list(values)}"
            for name in ("scale", "erase_area")
            if not 0 < (values := getattr(self, name))[0] <= values[1]
        ]
        if not 0 <= self.rotation <= 180:
            problems.append(f"rotation: expected 0 to 180 degrees, got {self.rotation}")
        if not 0 <= self.ground <= 255:
            problems.append(f"ground: expected a grey level of 0 to 255, got {self.ground}")
        if problems:
            raise InputError("the augmentation's configuration is not valid:", problems)
