"""The real weights of the metric networks, for tests that ask for them; each skips, and says so, where they are not."""

import os
from pathlib import Path

import pytest

from echogan.encoders.weights import KNOWN, locate

FOLDER = os.environ.get("ECHOGAN_WEIGHTS")  # as the tests were started: every test runs without it


@pytest.fixture
def real_weights(monkeypatch):
    """A function that makes the weights of a name available, or skips the test."""

    def need(name):
        if FOLDER:
            monkeypatch.setenv("ECHOGAN_WEIGHTS", FOLDER)
        if locate(name) is None:
            pytest.skip(f"no {KNOWN[name].file}: ECHOGAN_WEIGHTS is {Path(FOLDER) if FOLDER else 'not set'}")

    return need
