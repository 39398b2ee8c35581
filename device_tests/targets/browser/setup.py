"""Set up the browser target: an installed browser, and the runtimes from npm in the cache folder."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tqdm import tqdm

from device_tests.targets.stages import SetUpStage, ensure, is_done, locked, remove_unfinished
from export.app_code.code import JAVASCRIPT
from hetero.errors import InputError
from hetero.files import cache_directory, read_json, sha256_file
from hetero.processes import children

_DECLARED = JAVASCRIPT / "package.json"
_LOCK = JAVASCRIPT / "package-lock.json"
"""Every package with the digest that npm checks."""

PACKAGES: dict[str, str] = read_json(_DECLARED)["dependencies"]
"""The versions that were tested."""

_BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


def browser() -> Path:
    """Return the path of the browser.

    Raises:
        InputError: If there is none.
    """
    for name in _BROWSERS:
        if found := children.which(name):
            return found
    raise InputError(
        f"the target browser needs Chromium, found none of {', '.join(_BROWSERS)} on PATH; "
        "on Debian: apt-get install chromium"
    )


def browser_version(program: Path) -> str:
    """Return its version, for instance ``Chromium 150.0.7871.100``."""
    completed = children.run([program, "--version"], timeout=60.0)
    match = re.search(r"\S+(?: \S+)? [0-9]+(\.[0-9]+)+", completed.stdout)
    if match is None:
        raise InputError(f"{program} does not say its version: {(completed.stdout + completed.stderr).strip()[-300:]}")
    return match[0]


def packages_folder() -> Path:
    """Return the folder of npm's packages."""
    return _root() / "packages" / "node_modules"


def is_set_up() -> bool:
    """Return True if the packages are in the cache."""
    return is_done(_root(), _stage(-1))


def set_up() -> None:
    """Install the packages unless they are installed.

    Raises:
        InputError: If npm is missing, or fails.
    """
    if is_set_up():
        return
    with locked(_root(), say=tqdm.write) as lock:
        remove_unfinished(_root())
        ensure(_root(), _stage(lock))


def _root() -> Path:
    return cache_directory() / "browser"


def _stage(lock: int) -> SetUpStage:
    def install(folder: Path) -> None:
        if children.which("npm") is None:
            raise InputError("setting up the target browser needs npm (Node.js), found none on PATH")
        for path in (_DECLARED, _LOCK):
            shutil.copy(path, folder)
        # No package's own scripts: a browser has no use for anything that they would fetch.
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"]
        # By default npm waits for minutes before it reports a missing network.
        options += ["--fetch-retries", "1", "--fetch-retry-mintimeout", "1000", "--fetch-retry-maxtimeout", "5000"]
        command = ["npm", "ci", "--prefix", str(folder), *options]
        completed = children.run(command, variables=children.environment(NO_COLOR="1"), inherited=[lock])
        if completed.returncode:
            errors = [line for line in completed.stderr.splitlines() if "error" in line]
            raise InputError(
                "npm could not install the web runtimes; without network, try again later:",
                errors[:8] or completed.stderr.splitlines()[-5:],
            )

    return SetUpStage("packages", "downloading the web runtimes", [sha256_file(_LOCK)], install)
