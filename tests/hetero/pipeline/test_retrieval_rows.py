import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hetero.data.images import ImageSet
from hetero.metrics.task import RetrievalTask
from hetero.pipeline.retrieval_rows import limited, originals


@given(
    labels=st.lists(st.integers(0, 4), min_size=2, max_size=60),
    queries=st.integers(1, 20),
    share=st.floats(0.1, 0.9),
)
def test_kept_rows_are_the_tasks_images_and_no_right_answer_is_lost(labels, queries, share):
    values = np.array(labels)
    split = min(len(values) - 1, max(1, int(share * len(values))))
    task = RetrievalTask("all", np.arange(split), np.arange(split, len(values)))
    rows, (kept,) = limited((task,), values, queries=queries)
    assert (np.diff(rows) > 0).all()
    assert len(kept.query) <= max(1, queries)
    assert set(rows[kept.query]) <= set(task.query) and set(rows[kept.gallery]) <= set(task.gallery)
    assert set(rows) == set(rows[kept.query]) | set(rows[kept.gallery])
    for query in rows[kept.query]:
        relevant = task.gallery[values[task.gallery] == values[query]]
        assert set(relevant) <= set(rows[kept.gallery])


def test_a_small_set_is_kept_whole():
    tasks = tuple(RetrievalTask(str(part), np.arange(3), np.arange(3, 9)) for part in range(2))
    rows, kept = limited(tasks, np.zeros(9, np.int64), queries=100)
    np.testing.assert_array_equal(rows, np.arange(9))
    for before, after in zip(tasks, kept, strict=True):
        np.testing.assert_array_equal(before.query, after.query)
        np.testing.assert_array_equal(before.gallery, after.gallery)


def test_a_large_gallery_is_cut_to_ten_times_the_queries():
    labels = np.arange(1000)
    labels[500:510] = labels[:10]
    task = RetrievalTask("all", np.arange(10), np.arange(10, 1000), exclude_self=False)
    rows, (kept,) = limited((task,), labels, queries=10)
    assert len(kept.gallery) == 100 and {*range(500, 510)} <= set(rows[kept.gallery])


def test_originals_are_files_of_queries_within_the_limit():
    files = {row: bytes(10) for row in range(0, 20, 2)}
    images = ImageSet(
        np.zeros((20, 1, 1, 3), np.uint8), np.zeros(20, np.int64), ("a",), np.zeros(20, np.int64), ("",),
        tuple(map(str, range(20))), "f", original=files.get,
    )  # fmt: skip
    rows = np.arange(4, 20)
    tasks = (RetrievalTask("t", np.arange(8), np.arange(8, 16)),)
    found = originals(images, rows, tasks)
    assert found == {place: files[place + 4] for place in (0, 2, 4, 6)}
    few = originals(images, rows, tasks, limit=25)
    assert len(few) == 2 and few.items() <= found.items()
    assert few == originals(images, rows, tasks, limit=25)
