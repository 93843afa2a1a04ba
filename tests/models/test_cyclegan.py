"""CycleGAN: what each term gives the generator, what the enhancer may touch, and how a run of it is trained and judged."""

import csv
import hashlib
import json
from dataclasses import replace
from functools import partial

import pytest
import torch

from echogan.config import Settings
from echogan.contract import Batch
from echogan.data.frames import FrameSet
from echogan.engine.checkpoint import load_weights
from echogan.engine.feed import feed_of, resized, to_grey, to_signed
from echogan.engine.fit import fit
from echogan.engine.judge import judge
from echogan.engine.loop import Engine
from echogan.engine.source import enhanced_of
from echogan.errors import BadInput
from echogan.models.cyclegan import CONFIGS, TERMS, CycleGAN
from echogan.sector import ECHONET
from tests.conftest import framed

PLAIN = CONFIGS["plain"].tiny()
FAN = torch.from_numpy(ECHONET.resized(32).mask())


def images(n=8, seed=0, size=32):
    """Speckle in a fan, black outside."""
    x = torch.rand(n, 1, size, size, generator=torch.Generator().manual_seed(seed)) * 1.8 - 0.8
    return torch.where(torch.from_numpy(ECHONET.resized(size).mask()), x, -1.0)


def batch(n=8):
    labels = torch.arange(n) % 2
    rows = {"A": images(n), "B": images(n, 1), "A_label": labels, "B_label": 1 - labels}
    return Batch(rows, n, rng=torch.Generator().manual_seed(2))


def stand_in(x):
    """A segmenter with two classes, by brightness."""
    return torch.cat([x, -x], 1) * 3


def built(**changes):
    torch.manual_seed(0)
    return CycleGAN(replace(PLAIN, **changes), (stand_in,))


# ------------------------------------------------------------------------------------------------ losses


@pytest.mark.parametrize("term", TERMS)
def test_every_term_alone_moves_the_enhancer(term):
    model = built(**{name: float(name in (term, "cycle")) for name in TERMS})
    model.terms = [(term, 1.0)]
    views = model.views(batch())
    TERMS[term](model, views, batch()).backward()
    gradients = [p.grad for p in model.G.AB.parameters()]
    assert all(g is not None and g.abs().max() > 0 for g in gradients), "each parameter of the enhancer"


def test_a_term_without_weight_is_not_even_computed():
    engine = Engine(built(identity=0.0))
    engine.tick(batch())
    assert set(engine.read()) == {"G", "cycle", "D", "real_A", "real_B", "fake_A", "fake_B"}


def test_the_generators_loss_is_the_weighted_sum_of_its_columns():
    model = built(structure=2.0, light=5.0, segmentation=1.0)
    loss, stats = model.translate_both(batch())
    views = model.views(batch())
    game = sum((model.D[n](views.fake[n]).maps[0] - 1).square().mean() for n in "AB")
    weights = {"cycle": 5, "identity": 1, "structure": 2, "light": 5, "segmentation": 1}
    assert loss.item() == pytest.approx((game + sum(w * stats[n] for n, w in weights.items())).item(), rel=1e-5)
    back = model.G.AB(model.G.BA(batch()["B"], views.inside["B"]), views.inside["B"])
    torch.testing.assert_close(back, views.back["B"], rtol=1e-4, atol=1e-5)


def test_a_guest_is_not_trained_and_not_saved():
    guest = torch.nn.Conv2d(1, 2, 1).requires_grad_(False)
    engine = Engine(CycleGAN(replace(PLAIN, segmentation=1.0), (guest,)))
    engine.tick(batch())
    assert guest.weight.grad is None and not [k for k in engine.model.state_dict() if "guest" in k]
    assert engine.read()["segmentation"] > 0


def test_the_pixels_of_a_unet_should_agree_on_a_mixture():
    model = built(judge="unet")
    x = images()
    assert model.consistency("B", x, x, batch()).item() == pytest.approx(0, abs=1e-10)
    value = model.consistency("B", x, images(seed=5), batch())
    value.backward()
    assert value > 0 and all(p.grad.abs().max() > 0 for p in model.D["B"].up.parameters() if p.ndim > 1)


def test_classes_are_told_from_real_images_and_kept_by_generated_ones():
    model = built(task=0.5, condition="phase", classes=2)
    assert model.inputs == ("A", "B", "label")
    assert set(model.discriminate(batch())[1]) >= {"told"}
    _, stats = model.translate_both(batch())
    stats["kept"].backward()
    assert all(p.grad.abs().max() > 0 for p in model.G.BA.parameters())


def test_one_direction_needs_one_pair_of_networks():
    model = built(cycle=0.0, identity=0.0, nce=1.0)
    assert model.G.BA is None and set(model.D) == {"B"}
    before, after = model.panel(batch())
    assert len(before) == len(after) == 1


def test_the_rate_falls_linearly_between_hold_and_end():
    model = built(hold=20.0, end=40.0)
    assert [model.rate("G", kimg) for kimg in (0, 20, 30, 40, 50)] == [1, 1, 0.5, 0, 0]
    assert CycleGAN(CONFIGS["C1"].tiny()).rate("G", 1e6) == 1


# ------------------------------------------------------------------------------------------------ the enhancer


def bold(model):
    """With a change that nobody overlooks."""
    with torch.no_grad():
        model.G.AB.out.weight.mul_(50)
        model.G.AB.out.bias.fill_(0.3)
    return model


def test_outside_the_sector_every_bit_stays():
    model, x = bold(built()), images()
    y = model.translated({"image": x})
    assert torch.equal(y[..., ~FAN], x[..., ~FAN]) and (y[..., FAN] != x[..., FAN]).float().mean() > 0.5
    free = bold(built(sector=False)).translated({"image": x})
    assert (free[..., ~FAN] != -1).any(), "as published it paints there"


def test_a_known_sector_stands_in_for_what_is_lit():
    x, sector = images(1), torch.zeros(1, 1, 32, 32, dtype=torch.bool)
    sector[..., 10:20, 10:20] = True
    y = bold(built()).translated({"image": x, "sector": sector})
    assert torch.equal(y[~sector], x[~sector]) and (y[sector] != x[sector]).any()


@pytest.mark.parametrize("name", ["plain", "C1"])
def test_strength_zero_gives_the_input_back_to_the_bit(name):
    model, x = bold(CycleGAN(CONFIGS[name].tiny())), images()
    assert torch.equal(model.translated({"image": x}, strength=0.0), x)
    grey = torch.randint(0, 256, (2, 37, 50), dtype=torch.uint8)
    assert torch.equal(to_grey(model.translated({"image": to_signed(grey)}, strength=0.0)), grey)


def test_any_size_and_one_frame_and_black_ones():
    model = bold(built())
    for shape in ((1, 1, 61, 24), (1, 1, 8, 9), (3, 1, 112, 112)):
        assert model.translated({"image": torch.rand(shape) * 2 - 1}).shape == shape
    black = -torch.ones(2, 1, 32, 32)
    assert torch.equal(model.translated({"image": black}), black)


@pytest.mark.parametrize(
    "x, words",
    [
        (torch.full((1, 1, 16, 16), float("nan")), "not numbers"),
        (torch.zeros(1, 3, 16, 16), "one grey channel"),
        (torch.zeros(1, 1, 3, 16), "at least 8"),
    ],
)
def test_what_cannot_be_enhanced_is_refused(x, words):
    with pytest.raises(BadInput, match=words):
        built().translated({"image": x})


@pytest.mark.parametrize("strength", ["high", float("nan"), float("inf")])
def test_a_strength_is_a_number(strength):
    with pytest.raises(BadInput, match="strength is a number such as"):
        built().translated({"image": images(1)}, strength=strength)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"steps": 0}, "steps must be 1 or more, got 0"),
        ({"steps": -1, "judge": "unet"}, "steps must be 1 or more, got -1"),
        ({"steps": 4}, "4 strides leave a judge of patches too little of 32 px"),
        ({"steps": 5, "resolution": 64}, "5 strides leave a judge of patches too little of 64 px"),
        ({"up": "reszie"}, "did you mean 'resize'"),
        ({"judge": "path"}, "did you mean 'patch'"),
        ({"steps": 6}, "multiple of 128 px"),
        ({"pool": 4}, "smaller than a batch"),
        ({"hold": 20.0, "end": 20.0}, "held until 20 kimg cannot end at 20"),
    ],
)
def test_settings_that_nothing_can_be_built_of_are_named(changes, words):
    with pytest.raises(BadInput, match=words):
        built(**changes)


@pytest.mark.parametrize("changes", [{"judge": "patch", "steps": 3}, {"judge": "unet", "steps": 4}])
def test_the_deepest_judge_that_is_let_through_runs(changes):
    assert built(**changes).discriminate(batch())[0].isfinite()


def test_judges_of_smaller_tiers_see_the_same_share_of_an_image():
    assert [CONFIGS[n].steps for n in ("C1", "plain", "near")] == [4, 3, 2]
    assert [CONFIGS[n].small().steps for n in ("C1", "plain", "near")] == [2, 2, 1]


# ------------------------------------------------------------------------------------------------ a run


@pytest.fixture
def domains():
    """Blobs, dimmer in A."""
    frames = framed(64, 32, 32)
    frames.index["domain"] = ["A", "A", "B", "B"] * 32
    frames.index["phase"] = ["systole", "diastole"] * 64
    low = (frames.index["domain"] == "A").to_numpy()
    frames.images[low] = frames.images[low] // 2 + 20
    return FrameSet(frames.images, frames.index, frames.manifest)


def test_a_run_is_read_chosen_and_judged_against_the_good_frames(domains, tmp_path):
    told = []
    run = fit("cyclegan", "t", domains, Settings(kimg=0.064, device="cpu"), PLAIN, tmp_path, told.append)
    readings = list(csv.DictReader(run.metrics.open(newline="")))
    assert readings[-1]["n_real"] == readings[-1]["n_fake"] == "16" and not readings[-1]["paired"]
    assert told[-1].sheet.shape == (6 * 33 - 1, 6 * 33 - 1)  # input, enhanced, and there and back, twice abreast
    row = judge(run.path, domains, "TEST")
    assert (row["arch"], row["config"]) == ("cyclegan", "t") and row["n_real"] == row["n_fake"] == 16
    good = domains.split("TEST").domain("B")
    model, _ = load_weights(run.weights("best"))
    low = resized(domains.split("TEST").domain("A").images, 32)
    expected = to_grey(model.translated({"image": to_signed(low)}))
    found, known = enhanced_of(run.path, domains.split("TEST"), None)
    assert torch.equal(found, expected) and known["arch"] == "cyclegan"
    by_hand = judge(expected, FrameSet(good.images, good.index.assign(split="TEST"), good.manifest), "TEST")
    assert row["SWD"] == pytest.approx(by_hand["SWD"]) and row["JSD"] == pytest.approx(by_hand["JSD"])


def test_judging_an_enhancer_wants_both_domains(domains, tmp_path):
    run = fit("cyclegan", "t", domains, Settings(kimg=0.008, device="cpu"), PLAIN, tmp_path)
    with pytest.raises(BadInput, match="no domain A"):
        judge(run.path, framed(64, 32, 32), "TEST")


def test_a_segmenter_that_is_asked_for_must_come(domains, tmp_path):
    config = CONFIGS["segment"].tiny()
    with pytest.raises(BadInput, match="hand one in as a guest"):
        fit("cyclegan", "segment", domains, Settings(kimg=0.008, device="cpu"), config, tmp_path)
    assert not list(tmp_path.rglob("config.json"))
    run = fit("cyclegan", "segment", domains, Settings(kimg=0.008, device="cpu"), config, tmp_path, guests=(stand_in,))
    assert float(next(csv.DictReader(run.losses.open(newline="")))["segmentation"]) > 0


def segmenter_of(seed):
    """A network, and what of it a run is given."""
    torch.manual_seed(seed)
    network = torch.nn.Conv2d(1, 2, 1).requires_grad_(False)
    return network, network.forward


def test_a_run_goes_on_with_the_segmenter_it_began_with_alone(domains, tmp_path):
    config, settings = CONFIGS["segment"].tiny(), Settings(kimg=0.008, device="cpu")
    again = partial(fit, "cyclegan", "segment", domains, config=config, experiments=tmp_path)
    network, guest = segmenter_of(1)
    run = again(settings, guests=(guest,))
    values = b"".join(  # of the bias, then of the weights
        key.encode() + str(tuple(value.shape)).encode() + value.numpy().tobytes()
        for key, value in sorted(network.state_dict().items())
    )
    assert run.read()["guests"] == {"segmenter": hashlib.sha256(values).hexdigest()[:16]}
    again(replace(settings, kimg=0.016), guests=(segmenter_of(1)[1],))
    for other in (segmenter_of(2)[1], stand_in):
        with pytest.raises(BadInput, match=r"--segmenter the one it began with.*or under another name"):
            again(replace(settings, kimg=0.024), guests=(other,))
    before = {key: value for key, value in run.read().items() if key != "guests"}  # a run of an older version
    run.config.write_text(json.dumps(before))
    again(replace(settings, kimg=0.024), guests=(stand_in,))
    assert run.read()["guests"] == {"segmenter": "unknown"}  # what can be called may be no network


def test_a_segmenter_that_nothing_weighs_is_refused(domains, tmp_path):
    with pytest.raises(BadInput, match="leave the segmenter out"):
        fit("cyclegan", "t", domains, Settings(kimg=0.008, device="cpu"), PLAIN, tmp_path, guests=(stand_in,))
    assert not list(tmp_path.rglob("config.json"))


def test_classes_are_numbered_over_both_domains(domains):
    config = replace(PLAIN, condition="domain", classes=2, task=1.0)
    rows = feed_of(domains.split("TRAIN"), config, ("A", "B", "label"), "cpu", 0).batch(0, 8)
    assert rows["A_label"].tolist() == [0] * 8 and rows["B_label"].tolist() == [1] * 8
    assert set(rows) == {"A", "B", "A_label", "B_label"}


def test_a_short_run_learns_that_good_images_are_brighter(domains, tmp_path):
    config = replace(PLAIN, width=4, lr=5e-3, cycle=0.0, identity=0.0, nce=0.1, ema_kimg=0.0, end=0.0)
    run = fit("cyclegan", "t", domains, Settings(kimg=0.6, device="cpu", row_kimg=0.3), config, tmp_path)
    model, _ = load_weights(run.weights("last"))
    low, good = (resized(domains.split("VAL").domain(n).images, 32).float() for n in "AB")
    made = to_grey(model.translated({"image": low[:, None] / 127.5 - 1})).float()
    assert (made.mean() - good.mean()).abs() < 0.7 * (low.mean() - good.mean()).abs()
