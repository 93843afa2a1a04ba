import pytest

from echogan.config import Settings
from echogan.downstream.masks import load_segmenter, train_segmenter
from echogan.downstream.segmenter import Config
from tests.downstream.hearts import LABELS, hearts

SMALL = dict(width=8, levels=3, fold=1, batch=8, ema_kimg=0.2, lr=4e-3, resolution=32)


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """(the run of a small segmenter of drawn hearts, their frames)."""
    frames = hearts()
    experiments = tmp_path_factory.mktemp("segmenter")
    run = train_segmenter(
        frames, "drawn", Settings(kimg=1.6, device="cpu", row_kimg=0.1), Config(LABELS, **SMALL), experiments
    )
    return run, frames


@pytest.fixture
def segmenter(trained):
    """The trained segmenter, loaded."""
    return load_segmenter(trained[0].path)
