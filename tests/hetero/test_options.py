"""What an option takes, and in which words it says so."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Interval
from typing_extensions import Doc

from hetero.constraints import NotNegative, Positive, ProperShare, Share
from hetero.errors import InputError
from hetero.options import Option, declared_options, option_problems, undeclared

Mining = Literal["hard", "semi-hard"]


@pytest.mark.parametrize(
    ("option", "expects", "right", "wrong"),
    [
        (Option(Positive, 0.1), "a number above 0", [1, 0.5], [0, -1.0, True, "1", math.nan, math.inf]),
        (Option(NotNegative, 0.0), "a number of at least 0", [0, 2.5], [-0.1, False]),
        (Option(Share, 0.5), "a number of at least 0 and at most 1", [0, 1.0], [1.1]),
        (Option(ProperShare, 0.5), "a number above 0 and below 1", [0.1], [0, 1]),
        (Option(Annotated[int, Ge(2)], 9), "a whole number of at least 2", [2], [1, 2.0, 2.5, True]),
        (Option(Annotated[int, Interval(ge=1, le=3)], 1), "a whole number of at least 1 and at most 3", [3], [4]),
        (Option(bool, False), "true or false", [True], [1, "true"]),
        (Option(Annotated[Mining, Doc("how")], "semi-hard"), "one of semi-hard, hard", ["hard"], ["easy", 1]),
        (undeclared(3), "a number", [2, 2.5], [True, "2", math.nan]),
        (undeclared("a"), "a text", ["b"], [1]),
    ],
)
def test_an_option_takes_what_its_words_say(option: Option, expects: str, right: list[Any], wrong: list[Any]) -> None:
    assert option.expects == expects
    assert option.allows(option.default)
    assert [value for value in right if not option.allows(value)] == []
    assert [value for value in wrong if option.allows(value)] == []


def test_whole_numbers_become_numbers_where_the_type_is_known() -> None:
    assert [type(one.converted(2)) for one in (Option(Positive, 0.1), undeclared(0.1), undeclared(3))] == [
        float,
        float,
        int,
    ]


def sharpened(
    head: str,
    power: Annotated[float, Ge(1), Doc("of the cosines")] = 2.0,
    mining: Annotated[Mining, Doc("how")] = "hard",
    **more: int,
) -> None:
    """Declares two options beside what it is given."""


def test_a_signature_declares_its_options() -> None:
    options = declared_options(sharpened, given=["head"])
    assert [(name, one.default, one.meaning, one.choices) for name, one in options.items()] == [
        ("power", 2.0, "of the cosines", ()),
        ("mining", "hard", "how", ("hard", "semi-hard")),
    ]
    assert option_problems("sharp", options, {"power": 0.5, "mining": "easy", "width": 1}) == [
        "sharp.power: expected a number of at least 1, got 0.5",
        "sharp.mining: expected one of hard, semi-hard, got 'easy'",
        "sharp.width: unknown option; expected power, mining",
    ]
    assert option_problems("plain", {}, {"width": 1}) == ["plain.width: unknown option; it has none"]
    with pytest.raises(InputError, match="sharpened needs head, which a recipe cannot give"):
        declared_options(sharpened)
