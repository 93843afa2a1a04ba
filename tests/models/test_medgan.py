"""MedGAN's schedule with readings made up and no engine, and what its configs promise."""

from dataclasses import asdict, replace
from itertools import chain, islice

import pytest
import torch

from echogan.contract import Clock
from echogan.engine.feed import Feed
from echogan.engine.loop import Engine
from echogan.errors import BadInput
from echogan.models.medgan import CONFIGS, MedGAN
from tests.conftest import blobs

OURS = [name for name, config in CONFIGS.items() if not config.published]


def ticks(model, readings):
    """Phases of each tick, as an engine would run them, for one made-up reading a tick; counts as an engine would."""
    clock = Clock()
    for reading in readings:
        plan, done, sent = model.schedule(clock), [], None
        try:
            while True:
                name = plan.send(sent)
                sent = reading if name in ("read", "D") else {}
                done.append(name)
                clock.count[name] = clock.count.get(name, 0) + 1
                clock.last[name] = clock.tick
        except StopIteration:
            clock.tick += 1
            yield done


def warm(name):
    """A model whose warm-up is over, and what it yields for one reading."""
    model = MedGAN(CONFIGS[name].tiny())
    warmup = 2 * model.config.warmup
    return model, lambda reading: next(islice(ticks(model, [{}] * warmup + [reading]), warmup, None))


def score(r, f):
    return {"r": torch.tensor(r), "f": torch.tensor(f), "rank": torch.tensor(0.5)}


@pytest.mark.parametrize(
    "ahead, low, turn",
    [(True, True, "G"), (True, False, "D"), (False, True, "D"), (False, False, "D")],
)
def test_the_four_cases_of_the_study(ahead, low, turn):
    model, tick = warm("M1")
    t1, t2 = model.config.T1, model.config.T2
    f = -1.5 * t1 if low else -0.5 * t1
    r = f + (1.5 * t2 if ahead else 0.5 * t2)
    assert tick(score(r, f)) == (["read", "G"] if turn == "G" else ["read", "clip", "D"])


def test_the_rule_is_the_studys_with_the_opposite_sign():
    model, _ = warm("M1")
    t1, t2 = model.config.T1, model.config.T2
    for r, f in (torch.randn(500, 2, generator=torch.Generator().manual_seed(0)) * t2).tolist():
        theirs_r, theirs_f = -r, -f  # their critic scores real images low
        assert model.critic_is_ahead(score(r, f)) == (theirs_r < theirs_f - t2 and theirs_f > t1)


def test_two_generator_updates_warm_up_as_the_study_did():
    model = MedGAN(CONFIGS["M1"])
    done = list(ticks(model, [score(0.0, 0.0)] * 203))
    assert [tick for tick, names in enumerate(done) if "G" in names] == [99, 199]
    assert all(names[:2] == ["clip", "D"] for names in done[:200])
    assert done[200:] == [["read", "clip", "D"]] * 3


@pytest.mark.parametrize("name", CONFIGS)
def test_one_bool_is_read_from_the_device_each_tick(name, monkeypatch):
    reads, truth = [], torch.Tensor.__bool__
    monkeypatch.setattr(torch.Tensor, "__bool__", lambda tensor: reads.append(1) or truth(tensor))
    warm(name)[1](score(1.0, -1.0))
    assert len(reads) == 1


@pytest.mark.parametrize("name", [name for name in OURS if CONFIGS[name].every > 1])
def test_a_lazy_penalty_counts_updates_of_the_critic_whoever_comes_between(name):
    model = MedGAN(replace(CONFIGS[name].tiny(), both=False))
    turns = [score(9.0, -9.0) | {"rank": torch.tensor(float(k % 3 == 0))} for k in range(60)]
    names = list(chain.from_iterable(ticks(model, turns)))
    critic = [name for name in names if name in ("penalty", "D")]
    every = model.config.every
    assert critic == [n for k in range(names.count("D")) for n in ("penalty", "D") if n == "D" or k % every == 0]
    assert names.count("G") > 0


# ------------------------------------------------------------------------------------------------ configs


def test_m1_is_the_published_setting():
    known = {"bound": "clip", "weight": 0.01, "T1": 0.3, "T2": 0.5, "kind": "rmsprop", "lr": 5e-5, "batch": 20}
    known |= {
        "norm": "batch",
        "generator_norm": "batch",
        "width": 64,
        "critic_width": 64,
        "warmup": 100,
        "ema_kimg": 0.0,
    }
    assert known.items() <= asdict(CONFIGS["M1"]).items() and CONFIGS["M1"].published
    assert CONFIGS["M6"].generator_norm == "none" and CONFIGS["M6"].unknown


def test_thresholds_on_scores_follow_what_clipped_weights_can_reach():
    """The last layer sums over its inputs, each weight at most 0.01."""
    full, small, tiny = (CONFIGS["M1"], CONFIGS["M1"].small(), CONFIGS["M1"].tiny())
    inputs = [MedGAN(c).D.net[-1].in_channels for c in (full, small, tiny)]
    for config, n in zip((small, tiny), inputs[1:]):
        assert config.T1 / full.T1 == pytest.approx(n / inputs[0]) == pytest.approx(config.T2 / full.T2)


@pytest.mark.parametrize("name", OURS)
def test_our_critics_score_each_image_alone(name):
    critic = MedGAN(CONFIGS[name].tiny()).D.eval()
    x = torch.randn(6, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(critic(x)[2:4], critic(x[2:4]))


def test_each_batch_updates_one_of_the_two():
    config = CONFIGS["M1"].tiny()
    engine, feed = Engine(MedGAN(config)), Feed(blobs(40), 32)
    for _ in range(60):
        engine.tick(feed.batch(engine.clock.images, config.batch))
    count = engine.clock.count
    assert count["read"] == 60 - 2 * config.warmup
    assert count["D"] + count["G"] == 60 + 2  # the warm-up's two updates of the generator came on top
    assert count["clip"] == count["D"]


def test_a_reading_that_there_is_not_is_refused():
    with pytest.raises(BadInput, match="did you mean 'rank'"):
        MedGAN(replace(CONFIGS["rank"].tiny(), reading="ranks"))
