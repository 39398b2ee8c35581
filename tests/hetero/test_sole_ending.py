"""Of the processes that ``torchrun`` started one tells how the run ended, and all end with its status."""

from __future__ import annotations

import pytest
from torch.distributed import TCPStore

from hetero.cli.main import main
from hetero.cli.sole_ending import sole_ending
from hetero.processes import board
from hetero.processes.board import EndedElsewhere, announce, await_event


@pytest.fixture
def as_rank(monkeypatch):
    """Makes this process a rank of a run; the agent's store is here, too."""
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    variables = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port), "WORLD_SIZE": "3"}

    def become(rank: int) -> None:
        board._store.cache_clear()
        for name, value in {**variables, "RANK": str(rank)}.items():
            monkeypatch.setenv(name, value)

    monkeypatch.setattr("signal.signal", lambda *_: None)
    yield become
    board._store.cache_clear()


def test_the_first_process_tells_and_the_others_end_silently_with_its_status(as_rank):
    as_rank(0)
    assert sole_ending("this cannot be done", 2) == ("this cannot be done", 2)
    for rank in (1, 2):
        as_rank(rank)
        assert sole_ending("another process of this run does not answer", 70) == ("", 2)


def test_an_error_of_another_process_alone_names_that_process(as_rank, monkeypatch):
    monkeypatch.setattr("hetero.cli.sole_ending._AFTER_FIRST", 0.05)
    as_rank(1)
    assert sole_ending("no room", 2) == ("process 1 of 3: no room", 2)
    as_rank(0)
    assert sole_ending("told to end", 143) == ("", 2)


def test_a_process_that_waits_for_another_ends_when_the_run_has_ended(as_rank):
    as_rank(1)
    announce("done")
    await_event("done")
    sole_ending("broken", 70)
    with pytest.raises(EndedElsewhere) as ended:
        await_event("never")
    assert ended.value.code == 70


def test_a_command_of_one_process_refuses_several_with_one_message(as_rank, capsys):
    statuses: list[object] = []
    for rank in (0, 1):
        as_rank(rank)
        with pytest.raises(SystemExit) as ended:
            main(["compare", "photos"])
        statuses.append(ended.value.code)
    assert statuses == [2, 2]
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        "hetero: hetero compare runs in one process, unlike demo, run, search, train, evaluate, upgrade; "
        "torchrun started 3 processes: start one, without it"
    )


def test_without_the_store_of_torchrun_each_process_tells(monkeypatch):
    board._store.cache_clear()
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert sole_ending("no room", 2) == ("no room", 2)
