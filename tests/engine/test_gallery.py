"""What a reading looks at: noise, or frames translated; with a sheet a person can read and numbers that have a meaning."""

import numpy as np
import pytest
import torch

from echogan.contract import Architecture
from echogan.data.frames import FrameSet
from echogan.engine.evaluate import apart, in_turn
from echogan.engine.feed import feed_of, to_grey
from echogan.engine.gallery import Gallery
from echogan.errors import BadInput


class Config:
    resolution, batch, condition, canny = 32, 16, "phase", (100, 200)


class Identity(Architecture):
    """Gives back its input, brighter by `lift`."""

    paired = True

    def __init__(self, lift=0.0, inputs=("image",)):
        super().__init__()
        self.G, self.lift, self.inputs = torch.nn.Linear(1, 1), lift, inputs

    def makes(self, kimg):
        return "translate"

    def translate(self, batch):
        return (batch["image"] + self.lift).clamp(-1, 1)

    def panel(self, batch):
        return (batch["image"],), (batch["image"],)


def test_a_perfect_reconstruction_reads_as_one(frames):
    _, row = Gallery(frames, Config, ("image",)).look(Identity(), 1.0)
    assert (
        row["paired"] == "reconstruction"
        and row["SSIM"] == pytest.approx(1)
        and row["SWD"] == pytest.approx(0, abs=1e-6)
    )
    assert row["variety"] == pytest.approx(1) and row["n_real"] == row["n_fake"] == 8
    worse = Gallery(frames, Config, ("image",)).look(Identity(0.5), 1.0)[1]
    assert worse["SSIM"] < 0.99 and worse["SWD"] > 10


@pytest.mark.parametrize("shown", [1, 8])
def test_a_val_split_without_variety_is_refused(frames, shown):
    """Of a single picture, or of one that is there many times: the variety of images is told as a share of its own."""
    frames = frames.where(np.arange(len(frames)) < 48 + shown)
    frames.images[48:] = frames.images[48]
    said = f"VAL split has {shown} pictures? without any difference, .*give recordings of more patients, or more rows of VAL"
    with pytest.raises(BadInput, match=said):
        Gallery(frames, Config, ("image",))


def test_the_sheet_of_a_translation_shows_input_output_goal_side_by_side(frames):
    val = frames.split("VAL").images
    sheet, _ = Gallery(frames, Config, ("image",)).look(Identity(0.5), 1.0)
    cells = sheet[:32].reshape(32, -1)
    first, second, third = (cells[:, 33 * k : 33 * k + 32] for k in range(3))
    assert np.array_equal(first, val[0]) and np.array_equal(third, val[0])
    assert np.abs(second.astype(int) - np.clip(val[0].astype(int) + 64, 0, 255)).max() <= 1


def test_a_sheet_shows_every_patient_before_it_shows_one_twice(frames):
    frames.index["patient"] = [f"p{i // 4}" for i in range(64)]  # VAL: two patients with four frames each
    val = frames.split("VAL").images
    sheet, row = Gallery(frames, Config, ("image",)).look(Identity(), 1.0)
    starts = [(33 * r, 99 * c) for r in range(4) for c in range(2)]
    found = [np.flatnonzero((val == sheet[y : y + 32, x : x + 32]).all((1, 2)))[0] for y, x in starts]
    assert found == [0, 4, 1, 5, 2, 6, 3, 7]
    assert row["SSIM"] == pytest.approx(1), "the reading compares each with its own"


def test_few_frames_are_of_many_patients(frames):
    val = frames.split("TRAIN")
    assert apart(val, 6).index["patient"].tolist() == [f"p{i}" for i in range(6)]
    assert in_turn(["a", "a", "a", "b"], 3) == [0, 3, 1] and in_turn([], 3) == []


def test_a_feed_carries_what_an_architecture_asks_for(frames):
    frames.index["phase"] = ["systole", "diastole"] * 32
    labelled = FrameSet(
        frames.images, frames.index, frames.manifest, (frames.images > 100).astype(np.uint8), {"none": 0, "blob": 1}
    )
    batch = feed_of(labelled, Config, ("image", "label", "mask", "edge"), "cpu", 0).batch(0, 16)
    grey = to_grey(batch["image"]).numpy()
    assert np.array_equal(batch["mask"].numpy(), grey > 100)  # rows stay together
    rows = [int(np.flatnonzero((frames.images == image).all((1, 2)))[0]) for image in grey]
    assert batch["label"].tolist() == [1 - row % 2 for row in rows]  # diastole 0, systole 1, in the alphabet's order
    assert set(np.unique(batch["edge"])) == {0, 255}
    with pytest.raises(BadInput, match="have no masks"):
        feed_of(frames, Config, ("image", "mask"), "cpu", 0)


def test_two_domains_are_shuffled_each_for_itself(frames):
    frames.index["domain"] = ["A", "B"] * 32
    feed = feed_of(frames.split("TRAIN"), Config, ("A", "B"), "cpu", 0)
    shown = {n: [image.tobytes() for f in (0, 12) for image in to_grey(feed.batch(f, 12)[n]).numpy()] for n in "AB"}
    assert {n: sorted(images) for n, images in shown.items()} == {
        n: sorted(image.tobytes() for image in frames.images[first:48:2]) for first, n in enumerate("AB")
    }
    order = [feed.feeds[n].order(0).tolist() for n in "AB"]
    assert order[0] != order[1] and sorted(order[0]) == list(range(24))


def test_an_enhancer_is_read_against_the_good_frames_of_val(frames):
    frames.index["domain"] = ["A", "B"] * 32
    frames.images[1::2] //= 2
    gallery = Gallery(frames, Config, ("A", "B"))
    model = Identity(inputs=("A", "B"))
    model.paired = False
    _, row = gallery.look(model, 1.0)
    assert gallery.goal.max() < 130 and row["n_real"] == 4 and "SSIM" not in row and row["SWD"] > 1
