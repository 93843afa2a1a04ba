"""Readings during training: what they hold, and what chooses."""

import numpy as np
import pytest

from echogan import encoders
from echogan.engine.evaluate import Reading, distances, spread
from echogan.engine.recorder import METRICS
from echogan.errors import BadInput
from echogan.metrics.kernel import kernel_distance
from tests.conftest import blobs


def test_without_an_encoder_pixels_are_read_and_choose():
    train, val, fakes = blobs(30), blobs(20, seed=1), blobs(25, seed=2)
    reading = Reading(train, val)
    row = reading.row(fakes)
    assert reading.chosen_by == "SWD"
    assert (row["split"], row["n_real"], row["n_fake"]) == ("VAL", 20, 25)
    assert {k: row[k] for k in distances(fakes, val)} == distances(fakes, val)
    assert row["floor_SWD"] == distances(train, val)["SWD"] and "encoder" not in row


def test_with_an_encoder_its_kernel_distance_chooses_beside_its_floor():
    train, val, fakes = blobs(30), blobs(20, seed=1), blobs(25, seed=2) // 2
    encoder = encoders.find("random")
    reading = Reading(train, val, encoder=encoder)
    row = reading.row(fakes)
    assert reading.chosen_by == "KID_random" and row["encoder"] == "random"
    assert row["KID_random"] == pytest.approx(kernel_distance(encoder(fakes), encoder(val)).value)
    assert row["floor_KID_random"] == pytest.approx(kernel_distance(encoder(train), encoder(val)).value)
    assert row["KID_random"] > row["floor_KID_random"]


def test_the_schema_has_the_columns_of_a_reading_with_lite0(real_weights):
    real_weights("lite0")
    reading = Reading(blobs(10), blobs(10, seed=1), encoder=encoders.find("lite0"))
    assert reading.chosen_by == "KID_lite0"
    assert reading.row(blobs(10, seed=2)).keys() <= set(METRICS)


def test_a_spread_keeps_the_order_and_depends_on_the_seed_alone():
    images = np.arange(100)
    chosen = spread(images, 10)
    assert (np.diff(chosen) > 0).all() and len(chosen) == 10
    assert (chosen == spread(images, 10)).all() and (chosen != spread(images, 10, seed=1)).any()
    assert spread(images, 100) is images


def test_a_seed_below_zero_is_refused():
    with pytest.raises(BadInput, match="seed must be 0 or more, got -1"):
        spread(np.arange(9), 3, -1)
