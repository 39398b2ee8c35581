"""A real service: what it answers, what it refuses, and that it is alive afterwards."""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hetero.gallery.opening import open_gallery
from hetero.serving.limits import LARGEST_BODY
from tests.hetero.gallery.places import V1, V2, embedded, names, vectors
from tests.hetero.serving.running import Running, coded, command, serving, variables

pytest.importorskip("uvicorn", reason="needs the extra serve")

PATIENCE, CONNECTIONS = 2.0, 40


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("service")
    address = embedded(folder)
    with open_gallery(address, V1) as store:
        store.add(vectors(50), names(50), V1)
        store.add(vectors(2, seed=1), names(2), V1, tenant="other", attributes=[{"colour": "red"}, {"colour": "blue"}])
    (folder / "item 1.png").write_bytes(b"png")
    limits = ("--patience", str(PATIENCE), "--connections", str(CONNECTIONS), "--waiting", "1")
    with serving(address, "--photos", str(folder), *limits) as service:
        yield service


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory, service: Running) -> Path:
    """The tables of the service's gallery."""
    return next(tmp_path_factory.getbasetemp().glob("service*/gallery/items.sqlite"))


def search(rows: Any, **more: Any) -> dict[str, Any]:
    return {"space": V1.space_id, "vectors": rows, **more}


def test_a_search_answers_as_the_gallery_does(service: Running, tmp_path: Path) -> None:
    rows = vectors(3, seed=2)
    with open_gallery(embedded(tmp_path), V1) as store:
        store.add(vectors(50), names(50), V1)
        expected = store.search(rows, 4, V1, effort="exact")
    for sent in (rows.tolist(), coded(rows)):
        answer = service.ask("/search", search(sent, k=4, effort="exact")).json
        assert (answer["space"], answer["ids"]) == (V1.space_id, expected.ids)
        np.testing.assert_allclose(answer["scores"], expected.scores, atol=1e-6)


def test_a_search_sees_one_tenant_and_what_fits(service: Running) -> None:
    row = vectors(1, seed=1).tolist()
    assert service.ask("/search", search(row, tenant="other", k=9)).json["ids"] == [["item 0", "item 1"]]
    fitting = service.ask("/search", search(row, tenant="other", k=9, where={"colour": ["blue", "green"]})).json
    assert fitting["ids"] == [["item 1"]] and len(fitting["scores"][0]) == 1
    assert service.ask("/search", search(row, effort="exact", k=1)).status == 200


def test_items_come_and_go(service: Running) -> None:
    row = vectors(1, seed=3)
    added = service.ask("/add", {"space": V1.space_id, "vectors": coded(row), "ids": ["new"], "tenant": "t"})
    assert added.json == {"added": 1}
    assert service.ask("/search", search(coded(row), tenant="t")).json["ids"] == [["new"]]
    assert service.ask("/remove", {"ids": ["new", "old"], "tenant": "t"}).json == {"removed": 1}
    assert service.ask("/search", search(coded(row), tenant="t")).json["ids"] == [[]]


def test_what_else_there_is(service: Running) -> None:
    assert service.ask("/health").json == {"status": "ok"}
    assert service.ask("/space").json == json.loads(json.dumps(V1.to_dict()))
    figures = service.ask("/metrics").body.decode()
    assert 'hetero_requests_total{endpoint="/search",status="200"}' in figures and "hetero_queries_total" in figures
    page = service.ask("/")
    assert b"has no model for photos" in page.body and "script-src 'self'" in page.headers["content-security-policy"]
    photo = service.ask("/photo?id=item%201.png")
    assert (photo.status, photo.body, photo.headers["content-type"]) == (200, b"png", "image/png")
    assert service.ask("/photo?id=../gallery/items.sqlite").status == 404


@pytest.mark.parametrize("path", ["/search", "/add"])
def test_another_space_is_a_conflict_that_names_both(service: Running, path: str) -> None:
    rows = {"space": V2.space_id, "vectors": vectors(1, space=V2).tolist()}
    answer = service.ask(path, {**rows, "ids": ["a"]} if path == "/add" else rows)
    assert answer.status == 409
    assert answer.json["served"] == {"space_id": V1.space_id, "name": V1.name, "version": V1.version}
    assert answer.json["asked"] == {"space_id": V2.space_id}
    assert V1.space_id in answer.json["error"] and V2.space_id in answer.json["error"]


ROW = vectors(1)[0].tolist()
BAD: dict[str, tuple[object, int, str]] = {
    "no JSON": (b"{", 400, "not valid JSON"),
    "no UTF-8": (b'{"space": "\xff"}', 400, "not valid JSON"),
    "deep": (b"[" * 100_000, 400, "not valid JSON"),
    "not an object": ([1], 400, "the search is not valid"),
    "no space": ({"vectors": [ROW]}, 400, "space: missing"),
    "unknown key": (search([ROW], kk=1), 400, "kk: unknown key"),
    "NaN": (b'{"space": "%s", "vectors": [[NaN]]}' % V1.space_id.encode(), 400, "NaN is not a JSON number"),
    "infinite": (b'{"space": "%s", "vectors": [[1e999]]}' % V1.space_id.encode(), 400, "too large a number"),
    "beyond float32": (search([[1e300] * 16]), 400, "not finite"),
    "NaN as bytes": (search(coded(np.full((1, 16), np.nan, np.float32))), 400, "not finite"),
    "zero": (search([[0.0] * 16]), 400, "not of unit length"),
    "dimension": (search([[1.0] * 15]), 400, "expected vectors as float32 [n, 16], got float32 [1, 15]"),
    "lengths": (search([ROW, ROW[:3]]), 400, "all of one length"),
    "texts": (search([["a"] * 16]), 400, "vectors"),
    "no Base64": (search(["????"]), 400, "Base64"),
    "three bytes": (search(["AAAA"]), 400, "Base64"),
    "none": (search([]), 400, "at least one vector"),
    "too many": (search([ROW] * 1001, k=1), 400, "at most 1000 vectors"),
    "large answer": (search([ROW] * 1000, k=51), 400, "at most 50000 items"),
    "k 0": (search([ROW], k=0), 400, "k: expected 1 or more, got 0"),
    "large k": (search([ROW], k=1001), 400, "k: expected at most 1000, got 1001"),
    "huge k": (search([ROW], k=10**30), 400, "not valid JSON"),
    "effort": (search([ROW], effort=0), 400, "effort"),
    "tenant": (search([ROW], tenant="x" * 2000), 400, "tenant"),
    "where": (search([ROW], where={"colour": []}), 400, "where"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_search_is_refused_in_a_sentence(service: Running, case: str) -> None:
    body, status, problem = BAD[case]
    answer = service.ask("/search", body)
    assert (answer.status, problem in answer.json["error"]) == (status, True), answer.body
    assert "\n" not in answer.json["error"] and "Traceback" not in answer.json["error"]


def test_bad_changes_are_refused(service: Running) -> None:
    ids = {"space": V1.space_id, "vectors": [ROW], "ids": ["a", "b"]}
    assert "one id a vector" in service.ask("/add", ids).json["error"]
    assert service.ask("/add", {**ids, "ids": ["a\0"]}).status == 400
    assert "at most 10000 items" in service.ask("/remove", {"ids": ["a"] * 10_001}).json["error"]
    assert service.ask("/remove", {"ids": [1]}).status == 400


def test_other_kinds_ways_and_hosts_are_refused(service: Running) -> None:
    assert service.ask("/search", b"{}", "text/plain").status == 415
    assert "no model for photos" in service.ask("/search", b"x", "image/jpeg").json["error"]
    assert (service.ask("/nowhere").status, service.ask("/search").status) == (404, 405)
    # A page of another site, which had its name lead here.
    assert service.ask("/space", Host="shop.example").status == 421


def talk(service: Running, *parts: bytes, pause: float = 0.0) -> bytes:
    """Send parts, with a pause after each; return everything that comes until the service closes."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
        try:
            for part in parts:
                connection.sendall(part)
                time.sleep(pause)
        except OSError:  # closed
            pass
        answer = b""
        while part := connection.recv(1 << 16):
            answer += part
        return answer


HEAD = b"POST /search HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"


def test_a_huge_body_is_refused_before_it_is_read(service: Running) -> None:
    large = HEAD + b"content-length: %d\r\nconnection: close\r\n\r\n" % (LARGEST_BODY + 1)
    assert talk(service, large).startswith(b"HTTP/1.1 413 ")
    chunk = b"%x\r\n%s\r\n" % (1 << 20, b" " * (1 << 20))
    chunked = HEAD + b"transfer-encoding: chunked\r\n\r\n"
    assert b"HTTP/1.1 413 " in talk(service, chunked, *[chunk] * (LARGEST_BODY // (1 << 20) + 1))


def test_long_headers_and_what_is_no_http_are_refused(service: Running) -> None:
    assert talk(service, HEAD + b"x: ", *[b"y" * (1 << 15)] * 4, pause=0.05).startswith(b"HTTP/1.1 431 ")
    assert talk(service, b"\x16\x03\x01\x02\x00\x01\r\n\r\n").startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nx: ", HEAD + b"content-length: 100\r\n\r\n{"])
def test_a_slow_client_is_cut(service: Running, begun: bytes) -> None:
    started = time.monotonic()
    answer = talk(service, begun, *[b"y"] * 6 if begun else (), pause=0.25)
    assert PATIENCE * 0.9 < time.monotonic() - started < PATIENCE + 10
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_one_who_does_not_read_is_cut(service: Running) -> None:
    asked = json.dumps(search(coded(vectors(1000)), k=50)).encode()
    request = HEAD + b"content-length: %d\r\n\r\n%s" % (len(asked), asked)
    answers = 12
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", service.port))
        connection.settimeout(60)
        connection.sendall(request * answers)
        time.sleep(2 * PATIENCE + 1)
        read = b""
        with suppress(ConnectionResetError):
            while part := connection.recv(1 << 20):
                read += part
    assert 0 < read.count(b"HTTP/1.1 200 ") < answers
    assert service.ask("/health").status == 200


def test_a_thousand_connections_are_borne(service: Running) -> None:
    with ExitStack() as stack:
        address = ("127.0.0.1", service.port)
        connections = [stack.enter_context(socket.create_connection(address, timeout=30)) for _ in range(1000)]
        ends = Counter(connection.recv(1 << 12)[9:12] for connection in connections)
    # Those that were taken are cut, having sent nothing.
    assert {*ends} == {b"503", b"408"} and ends[b"408"] >= CONNECTIONS and ends[b"503"] > 500, ends
    assert service.ask("/health").status == 200


def test_who_would_wait_too_long_is_told_when_to_come_again(service: Running, items: Path) -> None:
    addition = {"space": V1.space_id, "vectors": [ROW], "ids": ["late"], "tenant": "t"}
    with ThreadPoolExecutor(2) as threads, closing(sqlite3.connect(items, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # as a process does that writes for long
        begun = [threads.submit(service.ask, "/add", addition)]
        time.sleep(0.5)
        begun.append(threads.submit(service.ask, "/remove", {"ids": ["late"], "tenant": "t"}))
        time.sleep(0.5)
        refused = service.ask("/search", search([ROW]))
        other.execute("ROLLBACK")
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert [future.result().json for future in begun] == [{"added": 1}, {"removed": 1}]
    assert service.ask("/search", search([ROW])).status == 200


def test_what_has_begun_is_answered_after_the_signal_to_end(tmp_path: Path) -> None:
    address, read, write = embedded(tmp_path), "r" * 20, "w" * 20
    with open_gallery(address, V1) as store:
        store.add(vectors(5), names(5), V1)
    asked = json.dumps(search([ROW], k=1)).encode()
    with serving(address, HETERO_SERVE_TOKENS=f"read {read}\nwrite {write}") as service:
        reader, writer = ({"Authorization": f"Bearer {token}"} for token in (read, write))
        removal = {"ids": ["item 4"]}
        assert (service.ask("/search", search([ROW])).status, service.ask("/metrics").status) == (401, 401)
        assert service.ask("/search", search([ROW]), **reader).status == 200
        assert service.ask("/remove", removal, **reader).status == 403
        assert service.ask("/remove", removal, **writer).json == {"removed": 1}
        # Others are told whether it is alive, by any name.
        assert service.ask("/health", Host="shop.example").status == 200
        with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
            head = b"authorization: Bearer %s\r\ncontent-length: %d\r\n\r\n" % (read.encode(), len(asked))
            connection.sendall(HEAD + head + asked[:10])
            time.sleep(0.3)
            service.process.terminate()
            time.sleep(0.5)
            with pytest.raises(ConnectionError):
                service.ask("/health")
            connection.sendall(asked[10:])
            assert b'"ids":[["item 0"]]' in connection.makefile("rb").read()
        assert service.process.wait(30) == 0


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("usearch:nowhere", "--host", "0.0.0.0"), "without tokens everybody may search and change"),
        (("usearch:nowhere", "--host", "no.such.host.invalid"), "expected an address of this machine"),
        (("usearch:nowhere", "--port", "0"), "expected a gallery store at nowhere"),
        ((), "expected the address of a gallery or --local FOLDER"),
    ],
)
def test_it_does_not_start_so(arguments: tuple[str, ...], problem: str, tmp_path: Path) -> None:
    done = subprocess.run(
        command(*arguments), cwd=tmp_path, env=variables(), capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, problem in done.stderr) == (2, True), done.stderr
