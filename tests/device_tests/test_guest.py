"""The command that runs a guest's programs."""

from __future__ import annotations

import dataclasses
import json
import platform
import sys

import pytest

from device_tests.targets.emulated.guest import tried
from device_tests.targets.emulated.systems import AMD64
from device_tests.targets.job import clean_environment
from hetero.errors import InputError


def test_a_trial_tells_versions_or_the_last_words() -> None:
    known = dataclasses.replace(AMD64, modules=("json",), distributions=("numpy",))
    told = json.loads(tried(known, [sys.executable], clean_environment(), failing="fails"))
    assert (told["machine"], set(told)) == (platform.machine(), {"machine", "python", "libc", "numpy"})
    lacking = dataclasses.replace(AMD64, modules=("unheard_of",))
    with pytest.raises(InputError, match="runtime-amd64 fails") as caught:
        tried(lacking, [sys.executable], clean_environment(), failing="fails")
    assert "unheard_of" in caught.value.problems[-1]
