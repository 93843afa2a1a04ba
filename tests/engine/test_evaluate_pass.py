"""The one pass: what a row holds, against each metric called by itself; the real side is computed once."""

import json
import shutil
import zipfile

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import SafetensorError

from echogan import encoders
from echogan.config import folder
from echogan.data.frames import COLUMNS, FrameSet
from echogan.data.images import write_png
from echogan.engine import judge as engine
from echogan.engine.judge import cautions, judge, networks, readable
from echogan.engine.recorder import METRICS
from echogan.engine.sampling import Wanted
from echogan.engine.source import fakes_of
from echogan.errors import BadInput
from echogan.metrics.frechet import frechet
from echogan.metrics.kernel import kernel_distance
from echogan.metrics.manifold import manifold
from echogan.metrics.sliced import sliced_wasserstein
from echogan.metrics.speckle import speckle
from echogan.metrics.variety import vendi
from tests.conftest import blobs


def study(n=120, size=32, seed=0, **manifest):
    """Half TRAIN, a quarter VAL, a quarter TEST; two frames of each patient."""
    splits = np.repeat(["TRAIN", "TRAIN", "VAL", "TEST"], n // 4)
    names = [f"p{i // 2}" for i in range(n)]
    table = pd.DataFrame({"file": [f"{i}.png" for i in range(n)], "patient": names, "split": splits})
    return FrameSet(blobs(n, size, seed), table.reindex(columns=list(COLUMNS)), {"kind": "test blobs", **manifest})


@pytest.fixture
def encoder():
    return encoders.find("random")


def write_folder(path, images):
    path.mkdir()
    for i, image in enumerate(images):
        write_png(path / f"{i:03d}.png", image)
    return path


# ------------------------------------------------------------------------------------------------ the row


def test_a_row_holds_each_metric_as_it_is_by_itself(encoder):
    frames, fakes = study(mask="triangle"), blobs(30, seed=9) // 2
    row = judge(fakes, frames, encoder=encoder)
    real = frames.split("TEST")
    x, y, patients = encoder(fakes), encoder(real.images), real.index["patient"]
    assert (row["split"], row["n_real"], row["n_fake"], row["size"]) == ("TEST", 30, 30, 32)
    assert (row["encoder"], row["encoder_sha256"]) == ("random", encoder.sha256)
    assert (row["FD_random"], row["FD_random_error"]) == pytest.approx(tuple(frechet(x, y, patients)))
    assert (row["KID_random"], row["KID_random_error"]) == pytest.approx(tuple(kernel_distance(x, y, patients)))
    for name, share in manifold(x, y, patients).items():
        assert row[f"{name}_random"] == pytest.approx(share.value)
    assert row["vendi_random"] == pytest.approx(vendi(x))
    assert row["SWD"] == pytest.approx(sliced_wasserstein(fakes, real.images))
    assert row["speckle_SNR"] == pytest.approx(speckle(fakes)["speckle_SNR"], nan_ok=True)
    assert row["paired"] == "diversity" and 0 < row["SSIM"] < 1


def test_the_floor_is_as_many_training_images_in_place_of_the_fakes(encoder):
    frames = study()
    row = judge(blobs(20, seed=9), frames, "VAL", n=20, encoder=encoder)
    real = frames.split("VAL").images
    chosen = real[engine.spread(np.arange(len(real)), 20)]
    train = frames.split("TRAIN").images
    stand_in = train[engine.spread(np.arange(len(train)), 20)]
    assert (row["floor_of"], row["n_floor"], row["n_real"]) == ("TRAIN", 20, 20)
    assert row["floor_SWD"] == pytest.approx(sliced_wasserstein(stand_in, chosen))
    assert row["floor_KID_random"] == pytest.approx(kernel_distance(encoder(stand_in), encoder(chosen)).value)


def test_real_images_of_other_patients_are_at_the_floor_and_a_blurred_copy_is_not(encoder):
    frames = study(240)
    good = judge(blobs(60, seed=5), frames, encoder=encoder)
    blurred = judge(np.stack([cv2.GaussianBlur(i, (9, 9), 3) for i in blobs(60, seed=5)]), frames, encoder=encoder)
    for metric, factor in {"KID_random": 3, "SWD": 1.2, "spectrum_dB": 3}.items():
        assert blurred[metric] > factor * max(good[metric], good[f"floor_{metric}"])


def test_without_networks_the_row_says_so_and_keeps_what_needs_none():
    row = judge(blobs(20), study())
    assert row["encoder"] == "" and "SWD" in row and "FID" not in row and "LPIPS" not in row
    said = " ".join(cautions(row))
    assert "echogan weights --install inception2015" in said and "echogan weights --install alexnet" in said


def test_small_sets_and_small_floors_are_cautioned(encoder):
    assert any("biased upward" in line for line in cautions(judge(blobs(20), study(), encoder=encoder)))
    assert any("halves" in line for line in cautions(judge(blobs(40), study(), "TRAIN", n=40, encoder=encoder)))


def test_pictures_without_splits_are_the_reference_as_a_whole(encoder, tmp_path):
    row = judge(blobs(24, seed=1), write_folder(tmp_path / "real", blobs(40)), encoder=encoder)
    assert (row["split"], row["n_real"], row["floor_of"], row["n_floor"]) == ("ALL", 40, "halves", 20)


def test_a_row_is_readable_and_its_plain_columns_are_the_schema(encoder):
    row = judge(blobs(30, seed=1), study(mask="triangle"), encoder=encoder)
    lines = {name: (value, half, floor) for name, value, half, floor in readable(row)}
    assert lines["SWD"] == (row["SWD"], 1.96 * row["SWD_error"], row["floor_SWD"])
    assert "n_real" not in lines and not any(name.startswith("floor") for name in lines)
    named = {key.replace("FD_random", "FID").replace("FD_inf_random", "FID_inf").replace("_random", "") for key in row}
    assert named <= set(METRICS) | {"arch", "config"}


# ------------------------------------------------------------------------------------------------ once


def test_the_real_side_is_encoded_once_and_again_when_anything_changes(encoder, monkeypatch):
    counted = []
    monkeypatch.setattr(type(encoder), "__call__", _counting(type(encoder).__call__, counted))
    frames, fakes = study(), blobs(30, seed=9)
    first = judge(fakes, frames, encoder=encoder)
    assert judge(fakes, frames, encoder=encoder) == pytest.approx(first, nan_ok=True)
    assert counted == [30, 30, 30, 30]  # fakes, real, floor; then fakes alone
    judge(fakes, frames, "VAL", encoder=encoder)
    assert len(counted) == 7
    judge(fakes, study(seed=3), encoder=encoder)
    assert len(counted) == 10
    assert len(list((folder("data") / ".features").iterdir())) == 3


def _counting(call, counted):
    def encode(self, images, callback=None):
        counted.append(len(images))
        return call(self, images, callback)

    return encode


def test_a_damaged_cache_is_made_again(encoder):
    frames, fakes = study(), blobs(30, seed=9)
    first = judge(fakes, frames, encoder=encoder)
    (kept,) = (folder("data") / ".features").iterdir()
    for damage in (b"", b"PK\3\4 cut", kept.read_bytes()[:900]):
        kept.write_bytes(damage)
        assert judge(fakes, frames, encoder=encoder) == pytest.approx(first, nan_ok=True)


class Own(torch.nn.Module):
    """A user's encoder without weights: `statistic` of 16 x 16 tiles stands for its code."""

    dim, statistic = 4, "mean"

    def forward(self, images):
        tiles = torch.nn.functional.unfold(images[:, None].float(), 16, stride=16)
        return getattr(tiles, self.statistic)(1)


def test_an_encoder_of_ones_own_is_asked_each_time_as_its_code_may_have_changed(monkeypatch):
    frames, fakes = study(), blobs(30, seed=9)
    own = encoders.find(f"{__name__}:Own", trust_code=True)
    judge(fakes, frames, encoder=own)
    monkeypatch.setattr(Own, "statistic", "std")
    part = frames.split("TEST")
    expected = frechet(own(fakes), own(part.images), part.index["patient"]).value
    assert judge(fakes, frames, encoder=own)["FD_Own"] == pytest.approx(expected)
    assert not (folder("data") / ".features").exists()


def test_progress_counts_the_images_of_all_sides(encoder):
    told = []
    judge(blobs(30, seed=9), study(), encoder=encoder, callback=lambda done, total: told.append((done, total)))
    assert told[-1] == (90, 90) and [done for done, _ in told] == sorted(done for done, _ in told)


@pytest.mark.parametrize("error", [BadInput("cannot write"), SafetensorError("No space left on device")])
def test_a_real_side_that_cannot_be_kept_costs_no_row(encoder, monkeypatch, error):
    row = judge(blobs(20), study(), encoder=encoder)
    shutil.rmtree(folder("data"))

    def full(*words):
        raise error

    monkeypatch.setattr(engine, "save_file", full)
    assert judge(blobs(20), study(), encoder=encoder) == row
    assert [path for path in folder("data").rglob("*") if path.is_file()] == []
    shutil.rmtree(folder("data"))
    folder("data").touch()  # where no folder can be made
    assert judge(blobs(20), study(), encoder=encoder) == row


# ------------------------------------------------------------------------------------------------ sources


def test_a_folder_and_its_zip_are_the_same_images(tmp_path):
    images = blobs(20)
    path = write_folder(tmp_path / "fakes", images)
    with zipfile.ZipFile(tmp_path / "fakes.zip", "w") as archive:  # as StyleGAN2-ADA packs a data set
        for i, file in enumerate(sorted(path.glob("*.png"))):
            archive.write(file, f"00000/img{i:08d}.png")
        archive.writestr("dataset.json", json.dumps({"labels": None}))
    for source in (path, tmp_path / "fakes.zip"):
        found, _ = fakes_of(source, 100)
        assert (found.numpy() == images).all()
    few, _ = fakes_of(path, 5, Wanted(seed=3))
    assert len(few) == 5 and all((image == images).all((1, 2)).any() for image in few.numpy())


def test_images_are_compared_at_the_smaller_size():
    small, large = judge(blobs(20, 32), study(size=64)), judge(blobs(20, 64), study(size=32))
    assert small["size"] == large["size"] == 32
    assert small["SWD"] < 3 * small["floor_SWD"] and large["SWD"] < 3 * large["floor_SWD"]


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (blobs(15), "hold 15 images; metrics need at least 16"),
        (np.full((20, 32, 32), 7, np.uint8), "flat"),
        (np.zeros((20, 32, 40), np.uint8), "40 x 32 pixels; make them square"),
        (np.full((20, 32, 32), np.nan, np.float32), "uint8"),
    ],
)
def test_images_that_cannot_be_judged_are_refused(encoder, images, said):
    with pytest.raises(BadInput, match=said):
        judge(images, study(), encoder=encoder)


def test_folders_that_cannot_be_judged_are_refused(tmp_path):
    mixed = write_folder(tmp_path / "mixed", blobs(20))
    write_png(mixed / "larger.png", blobs(1, 64)[0])
    with pytest.raises(BadInput, match=r"32 x 32 pixels, .*larger\.png 64 x 64; bring all to one size"):
        judge(mixed, study())
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="no PNG or JPEG"):
        judge(tmp_path / "empty", study())
    broken = write_folder(tmp_path / "broken", blobs(20))
    (broken / "003.png").write_bytes(b"not a picture")
    with pytest.raises(BadInput, match=r"003\.png is damaged"):
        judge(broken, study())
    with pytest.raises(BadInput, match="no split 'test'; choose from TRAIN"):
        judge(blobs(20), study(), "test")
    with pytest.raises(BadInput, match="has 4 images of TEST; metrics need at least 16"):
        judge(blobs(20), study(16))
    enough = r"give recordings of about 80 patients \(10% become TEST\), or lay them in folders train, val and test"
    with pytest.raises(BadInput, match=f"has 4 images of TEST; metrics need at least 16, so {enough}"):
        engine.check_enough(study(16))
    with pytest.raises(BadInput, match=r"has 15 images; metrics need at least 16, so give more images$"):
        judge(blobs(20), write_folder(tmp_path / "few", blobs(15)))
    engine.check_enough(study(64))


def test_a_reference_of_one_patient_is_refused_before_training_and_when_judged(encoder):
    """The errors halve its patients, and so does the floor of pictures without TRAIN."""
    alone, pictures = study(), study()
    alone.index.loc[alone.index["split"] == "TEST", "patient"] = "p0"
    pictures.index["split"], pictures.index["patient"] = "ALL", "p0"
    engine.check_enough(alone, "VAL")
    for frames, split in ((alone, "TEST"), (pictures, "ALL")):
        said = f"reference, {split}, is of one patient, which tells no error; give frames of two or more"
        with pytest.raises(BadInput, match=said):
            engine.check_enough(frames)
        with pytest.raises(BadInput, match=said):
            judge(blobs(20), frames, encoder=encoder)


def test_networks_are_those_whose_weights_are_here(real_weights, encoder):
    assert networks() == {"encoder": None, "lpips": None}
    assert networks(encoder=encoder)["encoder"] is encoder
    real_weights("alexnet")
    assert networks()["lpips"] is not None
