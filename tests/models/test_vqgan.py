"""VQGAN: its windows, its losses term by term, the adaptive weight by its definition, the prior's samples."""

import copy
from dataclasses import asdict, replace
from math import inf

import pytest
import torch
from torch import nn

from echogan.contract import Batch
from echogan.engine.checkpoint import export, load_weights
from echogan.engine.feed import Feed
from echogan.engine.loop import Engine, Numerics
from echogan.errors import BadInput
from echogan.layers.patch import normalisation
from echogan.models.vqgan import CONFIGS, VQGAN
from tests.conftest import blobs


def distance(a, b):
    return (a - b).square().mean((1, 2, 3))


def model_of(name="grid16", guests=(), **changes):
    torch.manual_seed(0)
    return VQGAN(replace(CONFIGS[name].tiny(), **changes), guests)


def batch_of(images=None, n=4, **columns):
    images = blobs(n) if images is None else images
    batch = Feed(images, 32, **columns).batch(0, len(images))
    batch.rng = torch.Generator().manual_seed(0)
    return batch


def trained(model, ticks, images=None, seed=0):
    engine = Engine(model, Numerics(seed))
    feed = Feed(blobs(40) if images is None else images, 32, seed=seed)
    for _ in range(ticks):
        engine.tick(feed.batch(engine.clock.images, model.config.batch))
    return engine


# ------------------------------------------------------------------------------------------------ configs


def test_the_study_had_a_wide_grid_and_no_prior():
    known = {"grid": 64, "codes": 512, "dim": 128, "lr": 2.25e-5, "balance": 50, "prior_start": 0.0, "resolution": 128}
    for name in ("VQ1", "VQ2", "VQ7", "VQ8"):
        assert known.items() <= asdict(CONFIGS[name]).items() and CONFIGS[name].published and CONFIGS[name].unknown
    starts = {name: CONFIGS[name].start * 1000 / CONFIGS[name].batch for name in ("VQ1", "VQ2", "VQ7", "VQ8")}
    assert starts == {"VQ1": 10000, "VQ2": 10000, "VQ7": 10000, "VQ8": 0}


@pytest.mark.parametrize("name, side", [("grid16", 16), ("grid32", 32), ("VQ1", 64)])
def test_the_grid_is_as_wide_as_promised(name, side):
    c = replace(CONFIGS[name], width=64, critic_width=16, prior_width=16, depth=1, codes=16, dim=4)
    with torch.device("meta"):
        model = VQGAN(c)
        z = model.vq.encoder(torch.zeros(1, 1, 128, 128))
        assert z.shape == (1, 4, side, side) and model.vq(torch.zeros(1, 1, 128, 128))[0].shape == (1, 1, 128, 128)
    assert all(d.resolution // d.grid == 128 // side for d in (c.small(), c.tiny()))


@pytest.mark.parametrize("grid", [24, 7, 256, 0, -4])
def test_a_grid_that_does_not_halve_the_image_is_refused(grid):
    with pytest.raises(BadInput, match="halving 128 pixels never gives"):
        VQGAN(replace(CONFIGS["grid16"], grid=grid))


@pytest.mark.parametrize(
    "change, why",
    [
        ({"codes": 0}, "codebook of 0 codes"),
        ({"norm": "foo"}, "no norm 'foo'"),
        ({"prior_width": 100}, "multiple of 32"),
        ({"blocks": 0}, "blocks must be 1 or more"),
    ],
)
def test_settings_that_make_no_network_are_refused_before_anything_is_trained(change, why):
    with pytest.raises(BadInput, match=why):
        VQGAN(replace(CONFIGS["grid16"].tiny(), **change))


def test_group_norm_takes_any_width():
    x = torch.randn(1, 9, 4, 4)
    assert normalisation("group", 9)(x).shape == x.shape and normalisation("group", 8).num_groups == 4


def test_a_discriminator_that_would_come_too_late_is_refused():
    with pytest.raises(BadInput, match="stage 1 is over"):
        VQGAN(replace(CONFIGS["grid16"].tiny(), start=5.0, prior_start=5.0))


def test_two_stages_of_one_run_are_two_windows():
    model = model_of("grid16")
    begun = {p.name: (p.start, p.stop) for p in model.phases}
    assert begun == {
        "revive": (0, 0.016),
        "vq": (0, 0.008),
        "balance": (0.008, 0.016),
        "vq_adv": (0.008, 0.016),
        "D": (0.008, 0.016),
        "prior": (0.016, inf),
    }
    assert [model.makes(kimg) for kimg in (0, 0.016, 0.02, inf)] == ["translate", "translate", "generate", "generate"]
    assert model_of("VQ8").makes(inf) == "translate"
    assert [p.name for p in model_of("VQ8").phases] == ["balance", "vq_adv", "D"]


def test_stage_2_leaves_the_tokens_alone():
    engine = trained(model_of("grid16"), 4)
    before = {k: v.clone() for k, v in engine.model.state_dict().items()}
    feed = Feed(blobs(40), 32)
    for _ in range(3):
        engine.tick(feed.batch(0, 4))
    after = engine.model.state_dict()
    moved = {k.split(".")[0] for k in before if not torch.equal(before[k], after[k])}
    assert moved == {"prior"} and engine.clock.count["prior"] == 3


# ------------------------------------------------------------------------------------------------ stage 1


@pytest.mark.parametrize("name", ["grid16", "pulled", "VQ7"])
def test_the_autoencoders_loss_is_its_terms(name):
    model, batch = model_of(name, [distance], perceptual=0.7), batch_of()
    model.weight.fill_(2.5)
    c, x = model.config, batch["image"]
    z = model.vq.encoder(x)
    code, _ = model.vq.book(z)
    made = model.vq.paint(model.vq.decoder(code))
    gap = (z - code).square().mean()
    expected = c.l1 * (made - x).abs().mean() + 0.7 * (made - x).square().mean() + (c.beta + c.pull) * gap
    torch.testing.assert_close(model.reconstruct(batch)[0], expected)
    fooled = expected - c.adversarial * 2.5 * model.D(made).mean()
    torch.testing.assert_close(model.fool(batch)[0], fooled)


def test_the_gradient_goes_straight_through_the_codes():
    """The decoder's gradient by its input is the encoder's by its output: d quantised / dz = 1."""
    model = model_of("grid16", beta=0.0)
    decoded = nn.Sequential(model.vq.decoder, model.vq.paint)
    x = batch_of()["image"]
    z = model.vq.encoder(x).detach().requires_grad_()
    code, _ = model.vq.book(z)
    code = code.detach().requires_grad_()
    (expected,) = torch.autograd.grad((decoded(code) - x).abs().mean(), code)
    made = decoded(z + (code - z).detach())
    torch.testing.assert_close(torch.autograd.grad((made - x).abs().mean(), z)[0], expected)
    first, last = model.vq.encoder[0].weight, model.vq.encoder[-1].weight
    model.reconstruct(batch_of())[0].backward()
    assert first.grad.abs().max() > 0
    z = model.vq.encoder(x)
    torch.testing.assert_close(last.grad, torch.autograd.grad(z, last, expected)[0], rtol=1e-3, atol=1e-7)


def test_the_adaptive_weight_is_the_papers_quotient_of_the_whole_batch():
    """Against gradients of the losses by the parameter itself, on one batch, and in two micro-batches."""
    model, batch = model_of("grid16", [distance]), batch_of(n=4)
    last = model.vq.paint.weight
    made, x = model.vq(batch["image"])[0], batch["image"]
    faithful = (made - x).abs().mean() + (made - x).square().mean()
    (pull,) = torch.autograd.grad(faithful, last, retain_graph=True)
    (push,) = torch.autograd.grad(-model.D(made).mean(), last)
    expected = (pull.norm() / (push.norm() + 1e-4)).item()
    balance = next(p for p in model.phases if p.name == "balance")
    for accumulate in (1, 2):
        engine = Engine(model, Numerics(accumulate=accumulate))
        engine.update(balance, batch)
        assert model.weight.item() == pytest.approx(expected, rel=1e-4)
        assert all(p.grad is None for p in model.parameters())


def test_the_rate_of_stage_1_falls_to_nothing_and_the_prior_keeps_its_own():
    model = model_of("grid16", prior_start=10.0, fade=0.4)
    expected = {0: 1.0, 6.0: 1.0, 8.0: 0.5, 9.0: 0.25, 10.0: 0.0, 30.0: 0.0}
    for child in ("vq", "D"):
        assert {kimg: pytest.approx(model.rate(child, kimg)) for kimg in expected} == expected
    assert model.rate("prior", 9.0) == 1.0 == model_of("VQ1").rate("vq", 1e4)


def test_the_adaptive_weight_is_bounded_where_the_config_says():
    model = model_of("grid16", [distance], most=1e-3)
    Engine(model).update(next(p for p in model.phases if p.name == "balance"), batch_of(n=4))
    assert model.weight.item() == pytest.approx(1e-3)
    assert CONFIGS["grid16"].small().most == 0.1 and CONFIGS["VQ1"].small().most == 1e4  # the study's knew no bound


def test_fakes_do_not_teach_the_autoencoder_to_be_found_out():
    model, batch = model_of("grid16"), batch_of()
    engine = Engine(model)
    engine.freeze("D")
    engine.forward(next(p for p in model.phases if p.name == "D"), batch)[0].backward()
    assert all(p.grad is None for p in model.vq.parameters())
    assert all(p.grad is not None for p in model.D.parameters())


def test_two_micro_batches_learn_the_same_codes():
    books = []
    for accumulate in (1, 2):
        engine = Engine(model_of("grid16"), Numerics(accumulate=accumulate))
        for name in ("revive", "vq"):
            engine.update(engine.phases[name], batch_of(n=8))
        books.append(engine.model.vq.book)
    torch.testing.assert_close(books[0].codes, books[1].codes, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(books[0].share, books[1].share)


def test_readings_are_columns_and_a_fresh_book_is_alive():
    engine = trained(model_of("grid16", start=1.0, prior_start=2.0), 3)
    row = engine.read()
    assert {"vq", "l1", "commitment", "usage", "perplexity"} <= row.keys()
    assert row["usage"] > 0.5 and row["perplexity"] > 4


def test_it_learns_to_reconstruct():
    model = model_of("grid16", start=9.0, prior_start=10.0, width=8, lr=2e-3)
    engine = trained(model, 2)
    before = engine.read()["l1"]
    trained_on = Feed(blobs(40), 32)
    for _ in range(40):
        engine.tick(trained_on.batch(engine.clock.images, 4))
    assert engine.read()["l1"] < 0.8 * before


@pytest.mark.parametrize("name", ["grid16", "VQ8"])
def test_black_images_do_no_harm(name):
    engine = trained(model_of(name), 6, images=blobs(8) * 0)
    assert all(torch.isfinite(p).all() for p in engine.model.parameters())
    assert all(value == value for value in engine.read().values())


# ------------------------------------------------------------------------------------------------ stage 2


def test_a_sentence_is_read_and_told_row_by_row():
    model, x = model_of("grid16"), batch_of()["image"]
    with torch.no_grad():
        torch.testing.assert_close(model.vq.told(model.vq.sentences(x), 4), model.vq(x)[0])


def test_samples_follow_their_seed_and_choices():
    model = model_of("grid16")
    for p in model.prior.parameters():
        torch.nn.init.normal_(p, 0.0, 0.5)
    with torch.no_grad():
        model.vq.book.codes.normal_()
    near = dict(rtol=1e-4, atol=1e-4)  # fewer rows round otherwise
    images = model.sample(6, seed=1)
    torch.testing.assert_close(images[:2], model.sample(2, seed=1), **near)
    assert not torch.equal(images, model.sample(6, seed=2))
    greedy = model.sample(6, seed=1, top_k=1)
    torch.testing.assert_close(greedy[0], greedy[5], **near)
    torch.testing.assert_close(greedy[0], model.sample(1, seed=7, temperature=1e-4)[0], **near)
    assert torch.equal(model.sample(2, seed=1, truncation=0.5), model.sample(2, seed=1, temperature=0.5))
    assert not torch.equal(model.sample(2, seed=1, top_p=0.3), images[:2])


@pytest.mark.parametrize(
    "choices",
    [
        {"temperature": 0.0},
        {"truncation": 0.0},
        {"temperature": float("inf")},
        {"top_p": 0.0},
        {"top_k": -1},
        {"top_k": "five"},
    ],
)
def test_choices_that_leave_no_token_are_refused(choices):
    with pytest.raises(BadInput, match="temperature and top_p above 0"):
        model_of("grid16").sample(1, **choices)


def test_a_prior_of_another_codebook_is_refused(tmp_path):
    engine = trained(model_of("grid16"), 6)
    model = engine.model
    assert model.prior.book == model.vq.book.codes.norm() and model.sample(1).shape == (1, 1, 32, 32)
    origin = {"arch": "vqgan", "name": "x", "kimg": "1", "data": "test blobs"}
    model.vq.book.codes.normal_()
    export(tmp_path / "mixed.safetensors", model, origin)
    with pytest.raises(BadInput, match="prior was trained on another codebook"):
        load_weights(tmp_path / "mixed.safetensors")[0].sample(1)
    model.vq.book.codes = model.vq.book.codes[:8]
    export(tmp_path / "mixed.safetensors", model, origin)
    with pytest.raises(BadInput, match="does not fit the config in its header"):
        load_weights(tmp_path / "mixed.safetensors")


def test_without_a_prior_nothing_is_generated():
    with pytest.raises(BadInput, match="has no prior"):
        model_of("VQ1").sample(1)


def test_the_prior_learns_which_class_an_image_has():
    """Of bright and of black images: after some updates either class tells its own tokens best."""
    images = blobs(8)
    images[1::2] = 0
    model = model_of("phase", classes=2, start=1.0, prior_start=2.0, prior_lr=5e-3)
    batch = batch_of(images, label=(torch.arange(8) % 2).numpy())
    engine = Engine(model)
    for name in ("revive", *["vq"] * 5, *["prior"] * 60):
        engine.update(engine.phases[name], batch)
    model.eval()
    swapped = Batch({**batch, "label": 1 - batch["label"]}, 8, rng=batch.rng)
    with torch.no_grad():
        assert model.predict(batch)[0] < 0.8 * model.predict(swapped)[0]
    assert model.inputs == ("image", "label")
    dark, bright = model.sample(8, label=1), model.sample(8, label=0)
    assert not torch.equal(dark, bright)


def test_classes_are_drawn_as_common_as_in_the_data():
    model = model_of("phase", classes=3)
    model.prior.class_share.copy_(torch.tensor([0.5, 0.0, 0.5]))
    batch = Batch({"index": torch.arange(400)}, 400, rng=torch.Generator().manual_seed(0))
    drawn = torch.bincount(model.some_label(batch), minlength=3) / 400
    assert drawn[1] == 0 and drawn[0].item() == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize("ticks", [1, 3, 5])
def test_resumed_in_any_window_equals_unbroken(ticks):
    whole, half = trained(model_of("pulled"), 7), trained(model_of("pulled"), ticks)
    resumed = Engine(VQGAN(half.model.config), Numerics(0))
    resumed.restore(copy.deepcopy(half.state()))
    feed = Feed(blobs(40), 32)
    for _ in range(7 - ticks):
        resumed.tick(feed.batch(resumed.clock.images, 4))
    expected = whole.model.state_dict()
    assert [k for k, v in resumed.model.state_dict().items() if not torch.equal(v, expected[k])] == []


def test_half_precision_goes_through_both_stages_and_keeps_the_book_in_full():
    model = model_of("grid16", [distance])
    engine = Engine(model, Numerics(autocast=torch.bfloat16))
    feed = Feed(blobs(40), 32)
    for _ in range(6):
        engine.tick(feed.batch(engine.clock.images, 4))
    assert engine.clock.count["prior"] == 2 and model.vq.book.codes.dtype == torch.float32
    assert all(value == value for value in engine.read().values())
