"""Before anything imports torch: one thread (spinning threads on shared cores are 20-100 times slower), no display."""

import os
from collections import Counter

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MPLBACKEND"] = "agg"

import numpy as np
import pandas as pd
import pytest

from echogan.data.frames import COLUMNS, FrameSet


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    """Every test has its own data, experiments and results."""
    for name in ("data", "experiments", "results"):
        monkeypatch.setenv(f"ECHOGAN_{name.upper()}", str(tmp_path / name))
    monkeypatch.delenv("ECHOGAN_WEIGHTS", raising=False)


def blobs(n, size=32, seed=0):
    """uint8 (n, size, size): a bright blob at a random place of each, enough for a critic to look at."""
    centres = np.random.default_rng(seed).uniform(0.25, 0.75, (n, 2, 1, 1)) * size
    y, x = np.mgrid[:size, :size]
    distance = (y - centres[:, 0]) ** 2 + (x - centres[:, 1]) ** 2
    return (255 * np.exp(-distance / (2 * (size / 10) ** 2))).astype(np.uint8)


def feed_for(model, n=40, seed=0):
    """Made-up data with every column that the model asks for; rows belong together."""
    from echogan.engine.feed import Feed, Unpaired  # torch must not load before the lines above

    size = model.config.resolution
    images = blobs(n, size)
    if "A" in model.inputs:
        return Unpaired(A=Feed(images, size, seed=seed), B=Feed(255 - blobs(n, size, seed=1), size, seed=seed + 1))
    columns = {"label": images.max((1, 2)) % 2, "mask": images // 64, "edge": 255 * (images // 16 == 8)}
    return Feed(images, size, seed=seed, **{name: columns[name] for name in model.inputs if name != "image"})


def framed(train=48, val=8, test=8):
    """A FrameSet of blobs of 32 px, two of each patient."""
    splits = ["TRAIN"] * train + ["VAL"] * val + ["TEST"] * test
    rows = [
        {
            "file": f"p{i // 2}_f{i % 2}.png",
            "video": f"p{i // 2}",
            "patient": f"p{i // 2}",
            "split": split,
            "frame": i % 2,
        }
        for i, split in enumerate(splits)
    ]
    return FrameSet(blobs(len(splits)), pd.DataFrame(rows, columns=list(COLUMNS)), {"kind": "test blobs"})


@pytest.fixture
def frames():
    """48 TRAIN, 8 VAL and 8 TEST frames."""
    return framed()


def pytest_terminal_summary(terminalreporter):
    """The time of each test file, slowest first."""
    seconds = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if hasattr(report, "duration"):
                seconds[report.nodeid.split("::")[0]] += report.duration
    terminalreporter.section("seconds of each test file")
    for name, spent in seconds.most_common():
        terminalreporter.write_line(f"{spent:7.1f}  {name}")
