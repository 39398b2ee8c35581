from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetero.data.protocols import Roles, choose, make_tasks
from hetero.errors import InputError


def roles(labels: list[int], views: list[int] | None = None, **rest: object) -> Roles:
    count = len(labels)
    return Roles(np.array(labels), np.array(views or [0] * count), **rest)  # type: ignore[arg-type]


def flags(text: str) -> np.ndarray:
    return np.array([character == "1" for character in text])


def test_leave_one_out_drops_classes_with_one_image() -> None:
    made = make_tasks("leave-one-out", roles([0, 0, 1, 2, 2]), where="test")
    (task,) = made.tasks
    assert task.query.tolist() == [0, 1, 3, 4]
    assert task.gallery.tolist() == [0, 1, 2, 3, 4], "a lone image still distracts"
    assert task.exclude_self
    assert made.dropped == {"leave-one-out": 1}


def test_cross_view_pairs_each_view_with_the_later_ones() -> None:
    made = make_tasks("cross-view", roles([0, 0, 0, 1, 1], [0, 1, 2, 0, 1], view_names=("a", "b", "c")), where="test")
    assert [(task.name, task.query.tolist(), task.gallery.tolist()) for task in made.tasks] == [
        ("a>b", [0, 3], [1, 4]),
        ("a>c", [0], [2]),
        ("b>c", [1], [2]),
    ]
    assert made.dropped == {"a>c": 1, "b>c": 1}
    assert not any(task.exclude_self for task in made.tasks)


def test_query_gallery_keeps_to_the_roles() -> None:
    made = make_tasks(
        "query-gallery",
        roles([0, 0, 1, 2], is_query=flags("1001"), is_gallery=flags("0110")),
        where="test",
    )
    (task,) = made.tasks
    assert (task.query.tolist(), task.gallery.tolist(), task.exclude_self) == ([0], [1, 2], False)
    assert made.dropped == {"query>gallery": 1}


def test_images_in_both_roles_do_not_find_themselves() -> None:
    made = make_tasks(
        "query-gallery",
        roles([0, 0, 1, 1], is_query=flags("1111"), is_gallery=flags("1110")),
        where="test",
    )
    (task,) = made.tasks
    assert task.exclude_self
    assert task.query.tolist() == [0, 1, 3], "row 2 is the only gallery image of its class"


def test_auto_follows_the_data() -> None:
    plain = roles([0, 0])
    views = roles([0, 0], [0, 1], view_names=("a", "b"))
    named = roles([0, 0], [0, 1], view_names=("a", "b"), is_query=flags("10"), is_gallery=flags("01"))
    assert [choose("auto", each) for each in (plain, views, named)] == ["leave-one-out", "cross-view", "query-gallery"]
    assert choose("leave-one-out", named) == "leave-one-out"


def test_protocols_that_the_data_cannot_serve_say_what_is_missing() -> None:
    with pytest.raises(InputError, match="which images are queries"):
        choose("query-gallery", roles([0, 0]))
    with pytest.raises(InputError, match="one view only"):
        choose("cross-view", roles([0, 0]))
    with pytest.raises(
        InputError, match="the test images: protocol leave-one-out finds no query.* 3 images of 3 classes"
    ):
        make_tasks("leave-one-out", roles([0, 1, 2]), where="the test images")


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 2), st.sampled_from([(1, 0), (0, 1), (1, 1)])),
        min_size=1,
        max_size=30,
    ),
    protocol=st.sampled_from(["leave-one-out", "cross-view", "query-gallery"]),
)
def test_every_query_kept_can_be_answered_and_every_one_dropped_cannot(
    rows: list[tuple[int, int, tuple[int, int]]], protocol: str
) -> None:
    labels = [label for label, _, _ in rows]
    query = np.array([bool(role[0]) for *_, role in rows])
    gallery = np.array([bool(role[1]) for *_, role in rows])
    data = roles(labels, [view for _, view, _ in rows], view_names=("a", "b", "c"), is_query=query, is_gallery=gallery)
    try:
        made = make_tasks(protocol, data, where="test")  # type: ignore[arg-type]
    except InputError:
        made = None
    expected = _by_hand(protocol, rows)
    assert {task.name: task.query.tolist() for task in (made.tasks if made else ())} == expected


def _by_hand(protocol: str, rows: list[tuple[int, int, tuple[int, int]]]) -> dict[str, list[int]]:
    every = range(len(rows))
    if protocol == "leave-one-out":
        pools = {"leave-one-out": (list(every), list(every), True)}
    elif protocol == "cross-view":
        of = {view: [row for row in every if rows[row][1] == view] for view in range(3)}
        pools = {f"{'abc'[a]}>{'abc'[b]}": (of[a], of[b], False) for a in range(3) for b in range(a + 1, 3)}
    else:
        queries = [row for row in every if rows[row][2][0]]
        gallery = [row for row in every if rows[row][2][1]]
        pools = {"query>gallery": (queries, gallery, bool(set(queries) & set(gallery)))}
    kept = {
        name: [q for q in queries if any(rows[g][0] == rows[q][0] and not (own and g == q) for g in gallery)]
        for name, (queries, gallery, own) in pools.items()
    }
    return {name: queries for name, queries in kept.items() if queries}
