"""The report on a phone: at 400 pixels nothing is cut, and nothing needs to be scrolled sideways."""

from __future__ import annotations

import html
import subprocess
from pathlib import Path

import pytest

from device_tests.ladder.verify import verify
from device_tests.report import write_report
from device_tests.targets.browser.setup import browser
from hetero.errors import InputError
from tests.device_tests.test_report import matrix
from tests.device_tests.tiny_bundle import write_bundle

# The page in frames of two widths; the title becomes each one's width and what is wider inside than outside.
FRAMES = """<!doctype html><title></title>
<iframe style="width: 400px; border: 0" srcdoc="{page}"></iframe>
<iframe style="width: 80px; border: 0" srcdoc="{page}"></iframe>
<script>
addEventListener("load", () => {{
  document.title = [...document.querySelectorAll("iframe")].map((frame) => {{
    const page = frame.contentDocument;
    const wide = [...page.body.querySelectorAll("*")].filter(
      (one) => one.clientWidth && one.scrollWidth > one.clientWidth + 1 && !one.closest(".said, thead, .skip, svg"));
    return [page.documentElement.scrollWidth, ...wide.map((one) => one.className || one.tagName)];
  }}).join("; ");
}});
</script>"""


def test_nothing_is_cut_at_400_pixels(tmp_path: Path) -> None:
    try:
        chromium = browser()
    except InputError as error:
        pytest.skip(str(error))
    bundle = write_bundle(tmp_path / "bundle", texts=True)
    verdict = verify([bundle], ["desktop"], tmp_path / "out")
    rows, embeddings = [row.to_dict() for row in verdict.rows], tmp_path / "out" / "embeddings"
    write_report(tmp_path / "report.html", rows=rows, matrix=matrix(), bundles=[bundle], embeddings=embeddings)
    page = html.escape((tmp_path / "report.html").read_text(encoding="utf-8").replace("<details>", "<details open>"))
    framed = tmp_path / "framed.html"
    framed.write_text(FRAMES.format(page=page), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--dump-dom"]
    command = [chromium, *options, f"--user-data-dir={tmp_path / 'profile'}", framed.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    phone, tiny = shown[shown.index("<title>") + 7 : shown.index("</title>")].split("; ")
    assert phone == "400"
    # So that it can fail at all: no table fits into a fifth of that.
    assert int(tiny.split(",")[0]) > 80
