"""Set up the browser target: a browser that is there, and the runtimes from npm in the cache folder."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tqdm import tqdm

from device_tests.targets.stages import Stage, ensure, is_done, locked, remove_unfinished
from hetero.errors import InputError
from hetero.files import cache_directory, read_json, sha256_file
from hetero.processes import children

_DECLARED = Path(__file__).with_name("package.json")
_LOCK = Path(__file__).with_name("package-lock.json")
"""Every package with the digest that npm checks it against."""

PACKAGES: dict[str, str] = read_json(_DECLARED)["dependencies"]
"""The versions that were tested."""

_BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


def browser() -> Path:
    """The browser to run.

    Raises:
        InputError: When there is none.
    """
    for name in _BROWSERS:
        if found := children.which(name):
            return found
    raise InputError(
        f"the target browser needs Chromium, found none of {', '.join(_BROWSERS)} on PATH; "
        "on Debian: apt-get install chromium"
    )


def browser_version(program: Path) -> str:
    """For instance ``Chromium 150.0.7871.100``."""
    done = children.run([program, "--version"], timeout=60.0)
    found = re.search(r"\S+(?: \S+)? [0-9]+(\.[0-9]+)+", done.stdout)
    if found is None:
        raise InputError(f"{program} does not say its version: {(done.stdout + done.stderr).strip()[-300:]}")
    return found[0]


def packages_folder() -> Path:
    """Where npm's packages are."""
    return _root() / "packages" / "node_modules"


def is_set_up() -> bool:
    """Whether the packages are in the cache."""
    return is_done(_root(), _stage(-1))


def set_up() -> None:
    """Install the packages unless they are there.

    Raises:
        InputError: When npm is missing, or fails.
    """
    if is_set_up():
        return
    with locked(_root(), say=tqdm.write) as lock:
        remove_unfinished(_root())
        ensure(_root(), _stage(lock))


def _root() -> Path:
    return cache_directory() / "browser"


def _stage(lock: int) -> Stage:
    def install(folder: Path) -> None:
        if children.which("npm") is None:
            raise InputError("setting up the target browser needs npm (Node.js), found none on PATH")
        for path in (_DECLARED, _LOCK):
            shutil.copy(path, folder)
        # No package's own scripts: what they would fetch, a browser has no use for.
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"]
        # By default npm waits for minutes before it admits that there is no network.
        options += ["--fetch-retries", "1", "--fetch-retry-mintimeout", "1000", "--fetch-retry-maxtimeout", "5000"]
        command = ["npm", "ci", "--prefix", str(folder), *options]
        done = children.run(command, variables=children.environment(NO_COLOR="1"), inherited=[lock])
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if "error" in line]
            raise InputError(
                "npm could not install the web runtimes; without network, try again later:",
                said[:8] or done.stderr.splitlines()[-5:],
            )

    return Stage("packages", "downloading the web runtimes", [sha256_file(_LOCK)], install)
