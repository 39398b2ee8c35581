"""What the demo's students lose when their cloud's gallery is searched approximately, and whether the gates see it.

    hetero demo --out runs/demo
    python -m benchmarks.gallery_demo runs/demo

Each of the 1,245 test photos, of emoji that no model was trained on, searches the cloud's vectors of all photos but
those of test emoji in its own design, which leaves 25,445. A flip is a first answer of the right emoji in the exact
search and of another in the approximate one, or the other way round. Then ``hetero gallery tune`` and ``hetero verify
--gallery-store`` judge the store at different efforts, as before a release; and the bundle carries its items, which the
desktop and the emulated phone search.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gallery_vectors import GALLERY_DESIGN, DemoVectors, design_of, emoji_of
from benchmarks.machine import where_and_when
from hetero import EmbeddingSpace, load_embeddings, open_gallery

K, EFFORTS, JUDGED = 10, (10, 16, 32, 64, 128), (64, 10)
TARGETS = "desktop", "phone-arm64"


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("run", type=Path, help="a finished run of the demo")
    parser.add_argument("--students", nargs="+", default=["edge-m", "edge-s"])
    options = parser.parse_args()
    space = load_embeddings(options.run / "cloud" / "embeddings.safetensors").space
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for student in options.students:
            vectors = DemoVectors.read(options.run, student)
            figures[student] = lost(vectors, space, Path(folder) / student)
            figures[student]["gates"] = gates(options.run, student, vectors, space, Path(folder) / f"{student}-gates")
    print(json.dumps({**figures, **where_and_when()}, indent=2))


def lost(vectors: DemoVectors, space: EmbeddingSpace, folder: Path) -> dict[str, Any]:
    """Return recall, first answers that are right, and flips, at each effort."""
    answers: dict[Any, dict[str, list[str]]] = {effort: {} for effort in ("exact", *EFFORTS)}
    for design in sorted({design_of(name) for name in vectors.asked}):
        rows = [row for row, name in enumerate(vectors.asked) if design_of(name) == design]
        with filled(vectors, {design}, space, folder / design) as store:
            for effort, answer in answers.items():
                ids = store.search(vectors.student[rows], K, space, effort=effort).ids
                answer |= dict(zip((vectors.asked[row] for row in rows), ids, strict=True))
    right = {
        effort: np.array([emoji_of(answer[name][0]) == emoji_of(name) for name in vectors.asked])
        for effort, answer in answers.items()
    }
    exact, figures = answers["exact"], {"queries": len(vectors.asked), "exact_cmc@1": round(right["exact"].mean(), 4)}
    for effort in EFFORTS:
        shared = [len({*answers[effort][name]} & {*exact[name]}) / K for name in vectors.asked]
        figures[f"effort_{effort}"] = {
            f"recall@{K}": round(float(np.mean(shared)), 4),
            "cmc@1": round(float(right[effort].mean()), 4),
            "negative_flips": int((right["exact"] & ~right[effort]).sum()),
            "positive_flips": int((~right["exact"] & right[effort]).sum()),
        }
    return figures


def filled(vectors: DemoVectors, left_out: set[str], space: EmbeddingSpace, folder: Path) -> Any:
    """Return a store of the cloud's vectors but for those of test photos in some designs."""
    folder.parent.mkdir(exist_ok=True)
    rows = vectors.gallery_without(left_out)
    store = open_gallery(f"usearch:{folder}", space)
    store.add(vectors.cloud[rows], [vectors.names[row] for row in rows], space)
    return store


def gates(run: Path, student: str, vectors: DemoVectors, space: EmbeddingSpace, folder: Path) -> dict[str, Any]:
    """Return what the commands say, of a gallery without the designs that the bundle's queries are of."""
    designs = {design_of(name) for name in vectors.asked} - {GALLERY_DESIGN}
    filled(vectors, designs, space, folder / "gallery").close()
    address, queries = f"usearch:{folder / 'gallery'}", run / "evaluation" / "vectors" / f"{student}.safetensors"
    status, text = hetero("gallery", "tune", address, queries)
    figures: dict[str, Any] = {"tune": {"status": status, "says": text.splitlines()[-1]}}
    for effort in JUDGED:
        # What was run before is judged anew, without running it again.
        shutil.copytree(run / "verification", folder / "verification", dirs_exist_ok=True)
        bundle, out = run / "bundles" / student / "bundle", folder / "verification"
        status, text = hetero("verify", bundle, "--gallery-store", address, "--effort", effort, "--out", out)
        rows = json.loads((out / "verdict.json").read_text())
        figures[f"verify_effort_{effort}"] = {"status": status} | {
            f"{row['format']}.{row['precision']}": {"status": row["status"], **_of_store(row["figures"])}
            for row in rows
            if row["rung"] == "retrieval" and row["bundle"] == student
        }
        figures[f"carried_effort_{effort}"] = carried(bundle, address, effort, folder / f"carried-{effort}")
    return figures


def carried(bundle: Path, address: str, effort: int, folder: Path) -> dict[str, Any]:
    """Return what targets find in a gallery that the bundle carries."""
    hetero("bundle", "gallery", bundle, address, folder / "bundle", "--effort", effort)
    targets = [word for target in TARGETS for word in ("--target", target)]
    status, _ = hetero("verify", folder / "bundle", *targets, "--out", folder / "out")
    size = sum(file.stat().st_size for file in (folder / "bundle" / "gallery").iterdir())
    return {"status": status, "bytes": size} | {
        f"{row['target']}.{row['format']}.{row['precision']}": {"status": row["status"], **row["figures"]}
        for row in json.loads((folder / "out" / "verdict.json").read_text())
        if row["rung"] == "gallery"
    }


def _of_store(figures: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in figures.items() if key.startswith("store")}


def hetero(*command: object) -> tuple[int, str]:
    words = [sys.executable, "-m", "hetero", *map(str, command)]
    answer = subprocess.run(words, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return answer.returncode, answer.stdout


if __name__ == "__main__":
    main()
