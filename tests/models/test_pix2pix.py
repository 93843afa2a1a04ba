"""pix2pix: what its configs promise, what its networks are given, and its losses term by term."""

from dataclasses import asdict, replace

import pytest
import torch

from echogan.contract import Batch
from echogan.engine.feed import Feed
from echogan.errors import BadInput
from echogan.layers.patch import normalisation
from echogan.models.pix2pix import CONFIGS, Pix2Pix
from tests.conftest import blobs


def model_of(name="both", guests=(), **changes):
    torch.manual_seed(0)
    return Pix2Pix(replace(CONFIGS[name].tiny(), **changes), guests)


def batch_of(n=4, size=32):
    images = blobs(n, size)
    feed = Feed(images, size, mask=images // 64, edge=255 * (images // 16 == 8))
    batch = feed.batch(0, n)
    batch.rng = torch.Generator().manual_seed(0)
    return batch


def test_p1_is_the_papers_setting():
    known = {"given": "edge", "l1": 100.0, "lr": 2e-4, "steps": 3, "norm": "affine", "batch": 1, "width": 64}
    assert known.items() <= asdict(CONFIGS["P1"]).items() and CONFIGS["P1"].published and CONFIGS["P1"].unknown
    with torch.device("meta"):
        model = Pix2Pix(CONFIGS["P1"])
    assert len(model.G.down) == len(model.G.up) == 7
    assert [step[0].out_channels for step in model.G.down] == [64, 128, 256, 512, 512, 512, 512]
    assert [step[0].in_channels for step in model.G.up] == [512, 1024, 1024, 1024, 512, 256, 128]


def test_the_norm_of_p1_is_batch_norm_with_one_image_a_batch_in_judging_too():
    torch.manual_seed(0)
    x, mine, papers = torch.randn(3, 8, 5, 5), normalisation("affine", 8), normalisation("batch", 8).train()
    mine.weight.data = papers.weight.data = torch.randn(8)
    one_by_one = torch.cat([papers(image[None]) for image in x])
    torch.testing.assert_close(mine.eval()(x), one_by_one)


def test_masks_become_one_channel_a_label_and_edges_nought_or_one():
    model, batch = model_of("both"), batch_of()
    given = model.condition(batch)
    assert given.shape == (4, 5, 32, 32) and set(given.unique().tolist()) == {0, 1}
    torch.testing.assert_close((given[:, :4] * torch.arange(4.0)[:, None, None]).sum(1), batch["mask"].float())
    assert torch.equal(given[:, :4].sum(1), torch.ones(4, 32, 32))
    assert torch.equal(given[:, 4] == 1, batch["edge"] == 255)


@pytest.mark.parametrize("name", ["edges", "logistic", "hinge"])
def test_the_generators_loss_is_its_terms(name):
    def distance(a, b):
        return (a - b).square().mean((1, 2, 3))

    model, batch = model_of(name, [distance], dropout=False, l1=7.0, perceptual=3.0), batch_of()
    loss, stats = model.fool(batch)
    given = model.condition(batch)
    fake = model.G(given)
    score = model.D(torch.cat([given, fake], 1))
    adversarial = {
        "edges": (score - 1).square(),
        "logistic": torch.log1p(torch.exp(-score)),
        "hinge": -score,
    }[name].mean()
    l1, lpips = (fake - batch["image"]).abs().mean(), (fake - batch["image"]).square().mean()
    torch.testing.assert_close(loss, adversarial + 7 * l1 + 3 * lpips)
    assert stats["l1"].item() == pytest.approx(l1.item()) and stats["lpips"].item() == pytest.approx(lpips.item())


def test_the_critic_learns_at_half_the_loss_and_sees_what_was_given():
    model, batch = model_of("edges", dropout=False), batch_of()
    loss, _ = model.discriminate(batch)
    given = model.condition(batch)
    real, fake = (model.D(torch.cat([given, x], 1)) for x in (batch["image"], model.G(given)))
    torch.testing.assert_close(loss, ((real - 1).square().mean() + fake.square().mean()) / 2)
    other = batch_of()
    other["edge"] = 255 - other["edge"]
    assert not torch.allclose(model.discriminate(other)[0], loss)


def test_noise_is_dropout_and_only_where_asked():
    model = model_of("edges")
    still = [model.translated(batch_of()) for _ in range(2)]
    noisy = [model.translated(batch_of(), noise="dropout") for _ in range(2)]
    other = Batch(dict(batch_of()), 4, rng=torch.Generator().manual_seed(9))
    assert torch.equal(*still) and torch.equal(*noisy)
    assert not torch.equal(still[0], noisy[0]) and not torch.equal(noisy[0], model.translated(other, noise="dropout"))
    with pytest.raises(BadInput, match="noise must be"):
        model.translated(batch_of(), noise="loud")


def test_dropout_is_refused_of_a_generator_that_never_saw_it():
    with pytest.raises(BadInput, match="without dropout"):
        model_of("still").translated(batch_of(), noise="dropout")


@pytest.mark.parametrize(
    "change, why",
    [
        ({"game": "chess"}, "no game 'chess'"),
        ({"given": "outline"}, "no input 'outline'"),
        ({"up": "sideways"}, "no way up 'sideways'"),
        ({"norm": "layer"}, "no norm 'layer'"),
        ({"resolution": 48}, "48 pixels do not"),
        ({"resolution": 16}, "take fewer steps"),
        ({"steps": -1}, "steps must be 1 or more, got -1"),
    ],
)
def test_settings_that_make_no_network_are_refused_before_anything_is_trained(change, why):
    with pytest.raises(BadInput, match=why):
        Pix2Pix(replace(CONFIGS["edges"].tiny(), **change))


def test_inputs_are_shown_from_black_to_white():
    batch = batch_of()
    (mask, edge), (image,) = model_of("both").panel(batch)
    assert torch.equal(mask[:, 0], batch["mask"] / 3 * 2 - 1) and set(edge.unique().tolist()) == {-1, 1}
    assert torch.equal(image, batch["image"])
