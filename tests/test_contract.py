"""One contract judges every architecture: what it finds in models/ it tests.

What costs little is asked of every config. What needs training is asked of one config of each `structure`, and of the others
in the slow tier.
"""

import copy
import json
from dataclasses import asdict, is_dataclass, replace
from math import inf

import pytest
import torch

from echogan import models
from echogan.contract import Batch
from echogan.engine.checkpoint import export, load_weights
from echogan.engine.loop import Engine, Numerics
from echogan.errors import BadInput
from tests.conftest import feed_for

TICKS = 6
MOST_TICKS = 200  # until every phase has run: a warm-up lasts 100 of the critic
DEPTHS = ("steps", "grid")  # numbers that say how many layers there are, or stand in a phase
EVERY = [(arch, name) for arch in models.names() for name in models.load(arch).CONFIGS]


def tiny(arch, name):
    """The config as tests run it."""
    return models.load(arch).CONFIGS[name].tiny()


def batch_for(model, n, first=0):
    """Some rows of that data, with random numbers."""
    batch = feed_for(model).batch(first, n)
    batch.rng = torch.Generator().manual_seed(3)
    return batch


def shows(model):
    """What the model is there for: three images."""
    return model.sample(3, seed=1) if generates(model) else model.translated(batch_for(model, 3))


def generates(model):
    """Whether a finished model makes images from noise."""
    return model.makes(inf) == "generate"


def translates(model):
    """Whether a model, at the beginning or when finished, makes images of images."""
    return "translate" in (model.makes(0), model.makes(inf))


def trained(config, arch, ticks=TICKS, seed=0, engine=None):
    """An engine after some ticks; a given engine goes on."""
    if engine is None:
        torch.manual_seed(seed)
        engine = Engine(models.load(arch).build(config), Numerics(seed))
    feed = feed_for(engine.model, seed=seed)
    for _ in range(ticks):
        engine.tick(feed.batch(engine.clock.images, config.batch))
    return engine


def tensors(state):
    """Every tensor of a resume state, flat, with its path."""
    found = {}

    def walk(path, value):
        if torch.is_tensor(value):
            found[path] = value
        elif isinstance(value, dict):
            for key, inner in value.items():
                walk(f"{path}/{key}", inner)
        elif isinstance(value, (list, tuple)):
            for key, inner in enumerate(value):
                walk(f"{path}/{key}", inner)
        else:
            found[path] = torch.as_tensor(value) if isinstance(value, (int, float, bool)) else value

    walk("", state)
    return found


def same(a, b):
    """Names of the entries of two states that differ in any bit."""
    assert a.keys() == b.keys()
    return [k for k in a if not (torch.equal(a[k], b[k]) if torch.is_tensor(a[k]) else a[k] == b[k])]


@pytest.mark.parametrize("arch", models.names())
def test_eight_configs_as_frozen_tables(arch):
    configs = models.load(arch).CONFIGS
    assert len(configs) >= 8
    for config in configs.values():
        assert is_dataclass(config) and type(config).__dataclass_params__.frozen
        assert config.resolution in (32, 64, 128, 256)
        assert type(config)(**json.loads(json.dumps(asdict(config)))) == config
    assert {"resolution", "batch", "published"} <= asdict(next(iter(configs.values()))).keys()
    assert any(config.published for config in configs.values())


@pytest.mark.parametrize("arch", models.names())
@pytest.mark.parametrize("size", ["full", "small"])
def test_our_configs_differ_in_more_than_rate_batch_or_seed(arch, size):
    known = {name: c for name, c in models.load(arch).CONFIGS.items() if not c.published}
    ours = {name: asdict(c.small() if size == "small" else c) for name, c in known.items()}
    essence = [
        tuple(sorted((k, str(v)) for k, v in c.items() if k not in ("lr", "batch", "seed"))) for c in ours.values()
    ]
    assert len(set(essence)) == len(ours)


@pytest.mark.parametrize("arch, name", EVERY)
def test_small_and_tiny_are_smaller(arch, name):
    config = models.load(arch).CONFIGS[name]
    count = [sum(p.numel() for p in models.load(arch).build(c).parameters()) for c in (config.tiny(), config.small())]
    assert config.tiny().resolution == 32 and config.small().resolution == 64
    assert count[0] < count[1]


def structure(arch, name):
    """What a config is but for its numbers: its words and switches, and which numbers are 0, which turns a term off."""
    settings = {key: value for key, value in asdict(tiny(arch, name)).items() if key not in ("unknown", "published")}
    return arch, *(v if key in DEPTHS or isinstance(v, str) else bool(v) for key, v in settings.items())


def parts(arch, name):
    """What a config builds, and how that is trained."""
    model = models.load(arch).build(tiny(arch, name))
    phases = [(p.loss.__name__, p.after and p.after.__name__, replace(p, loss=None, after=None)) for p in model.phases]
    kinds = {child: optim.kind for child, optim in model.optim.items()}
    return set(model.state_dict()), phases, kinds, model.inputs, model.guests, model.ema and model.ema.of


@pytest.mark.parametrize("arch", models.names())
def test_configs_of_one_structure_have_the_same_parts(arch):
    first = {}
    for name in models.load(arch).CONFIGS:
        like = first.setdefault(structure(arch, name), name)
        assert parts(arch, name) == parts(arch, like), f"{name} is built otherwise than {like}"


def one_of_each_structure():
    """Every config; those whose structure came before are marked slow."""
    seen = set()
    for arch, name in EVERY:
        kind = structure(arch, name)
        yield pytest.param((arch, name), id=f"{arch}-{name}", marks=pytest.mark.slow if kind in seen else ())
        seen.add(kind)


STRUCTURES = list(one_of_each_structure())


class Twins:
    """One config trained twice from one seed, the second for longer; `half`, `whole`: its states, `readings`: of both."""

    def __init__(self, arch, name):
        self.arch, self.name, self.config = arch, name, tiny(arch, name)
        self.first = dict(self.build().named_parameters())
        self.one, self.two = trained(self.config, arch), trained(self.config, arch)
        self.half, self.readings = copy.deepcopy(self.two.state()), (self.one.read(), self.two.read())
        self.whole = copy.deepcopy(trained(self.config, arch, engine=self.two).state())

    def build(self, seed=0):
        torch.manual_seed(seed)
        return models.load(self.arch).build(self.config)


@pytest.fixture(scope="module", params=STRUCTURES)
def twins(request):
    """Trained once for all tests of a config: none of them may train `one` on."""
    return Twins(*request.param)


def test_two_seeded_runs_are_equal_to_the_bit(twins):
    assert same(tensors(twins.one.state()), tensors(twins.half)) == []
    assert twins.readings[0] == twins.readings[1]


def test_resumed_equals_unbroken(twins, tmp_path):
    torch.save(twins.half, tmp_path / "state.pt")
    resumed = Engine(twins.build(seed=99), Numerics(0))  # other first weights and draws in between must not matter
    resumed.restore(torch.load(tmp_path / "state.pt", weights_only=True))
    trained(twins.config, twins.arch, engine=resumed)
    assert same(tensors(twins.whole), tensors(resumed.state())) == []


def test_exported_weights_give_the_same_images(twins, tmp_path):
    origin = {"arch": twins.arch, "name": twins.name, "kimg": "1", "data": "test blobs"}
    with twins.one.averaged() as model:
        export(tmp_path / "w.safetensors", model, origin)
        expected = shows(model)
    again, header = load_weights(tmp_path / "w.safetensors")
    assert torch.equal(shows(again), expected)
    assert header["config"] == asdict(twins.config) and header["data"] == "test blobs"


def test_every_trainable_parameter_receives_a_gradient_and_moves(twins):
    engine = twins.two
    while idle(engine) and engine.clock.tick < MOST_TICKS:
        trained(twins.config, twins.arch, 1, engine=engine)
    assert idle(engine) == []
    assert [n for n, p in engine.model.named_parameters() if torch.equal(twins.first[n], p)] == []


def idle(engine):
    """Phases that have not run yet."""
    return [name for name in engine.phases if engine.clock.count.get(name, 0) == 0]


@pytest.mark.parametrize("arch_name", STRUCTURES)
def test_losses_see_every_row_equally(arch_name):
    """A loss is a mean over its rows, so two micro-batches give the gradient of one batch (batch norm aside)."""
    model = models.load(arch_name[0]).build(tiny(*arch_name))
    model.eval()  # batch statistics and power iterations change from one forward to the next; the running ones do not
    engine = Engine(model.double())
    rows = feed_for(model).batch(0, 8)
    batch = DoubleBatch({name: x.double() if x.is_floating_point() else x for name, x in rows.items()}, 8)

    def gradient(phase, part):
        part.rng = torch.Generator().manual_seed(1)
        return torch.autograd.grad(phase.loss(part)[0], engine.groups[phase.trains], allow_unused=True)

    for phase in (p for p in model.phases if p.trains):
        engine.freeze(phase.trains)
        parts = (batch.micro(k, n, phase.share) for k, n in ((0, 1), (0, 2), (1, 2)))
        for whole, *halves in zip(*(gradient(phase, part) for part in parts)):
            if whole is not None:
                torch.testing.assert_close(whole, sum(halves) / 2, rtol=1e-6, atol=1e-9)


class DoubleBatch(Batch):
    """Its random numbers are doubles, so that rounding does not hide a wrong mean."""

    def _rows(self, draw, shape):
        return super()._rows(draw, shape).double()

    def micro(self, k, n, share=1.0):
        part = super().micro(k, n, share)
        return DoubleBatch(dict(part), part.total, part.first, part.stride, part.rng)


def loudly(model):
    """A copy of a model with parameters eight times as large, whose output goes as far as its range lets it."""
    model = copy.deepcopy(model)
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(8)
    return model


@pytest.mark.parametrize("arch, name", EVERY)
def test_samples_are_images_and_do_not_depend_on_their_number(arch, name):
    config = tiny(arch, name)
    model = models.load(arch).build(config)
    if not generates(model):
        with pytest.raises(BadInput):
            model.sample(1)
        return
    before = [b.clone() for b in model.buffers()]
    images = model.sample(70, seed=3)
    assert images.shape == (70, 1, config.resolution, config.resolution) and images.dtype == torch.float32
    assert images.min() >= -1 and images.max() <= 1 and images.std(0).max() > 0
    assert torch.equal(images, model.sample(70, seed=3))
    near = dict(rtol=1e-4, atol=1e-4)  # fewer rows may round otherwise
    assert torch.allclose(images[:5], model.sample(5, seed=3), **near)
    assert not torch.allclose(images[:5], model.sample(5, seed=4), **near)
    loud = loudly(model).sample(5, seed=3)
    assert loud.min() >= -1 and loud.max() <= 1, "what a trained network may say is bounded too"
    assert model.training and all(torch.equal(a, b) for a, b in zip(before, model.buffers()))


@pytest.mark.parametrize("arch, name", EVERY)
def test_translations_are_images_that_follow_from_their_inputs(arch, name):
    config = tiny(arch, name)
    model = models.load(arch).build(config)
    if not translates(model):
        with pytest.raises(BadInput):
            model.translated(batch_for(model, 2))
        return
    before = [b.clone() for b in model.buffers()]
    images = model.translated(batch_for(model, 6))
    assert images.shape == (6, 1, config.resolution, config.resolution) and images.dtype == torch.float32
    assert images.min() >= -1 and images.max() <= 1
    assert torch.equal(images, model.translated(batch_for(model, 6)))
    torch.testing.assert_close(images[:3], model.translated(batch_for(model, 3)), rtol=1e-4, atol=1e-5)
    assert not torch.equal(images, model.translated(batch_for(model, 6, first=6)))
    loud = loudly(model).translated(batch_for(model, 3))
    assert loud.min() >= -1 and loud.max() <= 1
    assert model.training and all(torch.equal(a, b) for a, b in zip(before, model.buffers()))


@pytest.mark.parametrize("arch, name", EVERY)
def test_the_pictures_beside_a_translation_are_pictures(arch, name):
    model = models.load(arch).build(tiny(arch, name))
    if translates(model):
        pictures = [picture for side in model.panel(batch_for(model, 6)) for picture in side]
        assert pictures and all(p.shape == (6, 1, 32, 32) and p.min() >= -1 and p.max() <= 1 for p in pictures)


@pytest.mark.parametrize("arch_name", STRUCTURES)
def test_no_loss_names_a_device(arch_name):
    """On the meta device a bare torch.arange(...) in a loss meets a tensor of another device and raises."""
    model = models.load(arch_name[0]).build(tiny(*arch_name)).to("meta")
    rows = {name: x.to("meta") for name, x in feed_for(model).batch(0, model.config.batch).items()}
    for phase in model.phases:
        loss, stats = phase.loss(Batch(rows, model.config.batch, rng=torch.Generator()))
        assert (loss is None) == (phase.trains is None)
        assert all(getattr(value, "of", value).device.type == "meta" for value in stats.values())
