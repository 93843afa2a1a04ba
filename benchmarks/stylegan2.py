"""StyleGAN2-ADA on a CPU: forward and backward passes of ours against the official code's, phase by phase, with equal weights.

Both run the same networks, batch and images. E4 augments by the whole `bgc` pipeline, here at p = 0.5, which ours resamples
with a shorter filter; E9 does not augment: there the mathematics is the same to the last term. One process a variant, and
the variants take turns, phase by phase, so that whatever else the machine does falls on all alike. A time is the least of
a phase without its optimiser step, of the processor (user + system) and of the clock; "step" weighs the lazy phases as
training does, Gmain + Greg/4 + Dmain + Dreg/16. First the two are shown to compute the same: images, scores and gradients
under copied weights, else no ratio is printed. They differ by some 1e-6 of their norm; allowed are 1e-4, and 1e-3 of gradients,
where rounding may lay a few leaky ReLUs on the other side of their kink. Wanted of the ratios of processor time, official / ours,
as it comes and with the allocator's variables on both sides: at least 1.50.
The official code is read from a clone, as it comes:

    git clone https://github.com/NVlabs/stylegan2-ada-pytorch external/stylegan2-ada-pytorch
    python benchmarks/stylegan2.py                                           what a CPU trains: E4, 64 px
    python benchmarks/stylegan2.py --config E9 --full --base 8192 --batch 4 --rounds 1              128 px
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import torch
from common import conclude, header, target

from echogan.contract import Batch
from echogan.engine.launch import ENVIRONMENT
from echogan.engine.loop import Engine, Numerics
from echogan.errors import BadInput
from echogan.layers.convolution import input_gradients_only
from echogan.losses import logistic_generator, path_lengths, slope, zero_centred_penalty
from echogan.models.stylegan2_ada import CONFIGS, StyleGAN2ADA

EQUAL, EQUAL_GRADIENTS = 1e-4, 1e-3  # of the norm: how far outputs and gradients of equal mathematics may lie apart
EVERY = {"Gmain": 1, "Greg": 4, "Dmain": 1, "Dreg": 16}
VARIANTS = ("official", "official + allocator", "ours", "ours + allocator", "ours + allocator, bf16 main phases")


# ------------------------------------------------------------------------------------------------ the two sides


def settings(args):
    """The `Config` that both sides build: one of ours at its CPU tier or, with --full, as it is."""
    config = CONFIGS[args.config] if args.full else CONFIGS[args.config].small()
    return replace(config, **{k: v for k in ("base", "batch") if (v := getattr(args, k))})


def our_model(config):
    torch.manual_seed(0)
    model = StyleGAN2ADA(config).to(memory_format=torch.channels_last)
    model.augment.p.fill_(0.5)
    return model


def official_networks(clone, config):
    """(G, D) of the official code, in fp32."""
    sys.path.insert(0, str(clone))
    from training.networks import Discriminator, Generator

    torch.manual_seed(0)
    shape = dict(img_resolution=config.resolution, img_channels=1)
    widths = dict(channel_base=config.base, channel_max=config.widest)
    mapping = dict(num_layers=config.mapping)
    latents = dict(z_dim=config.latent, w_dim=config.latent, c_dim=0)
    G = Generator(**latents, mapping_kwargs=mapping, synthesis_kwargs=widths, **shape)
    return G, Discriminator(c_dim=0, epilogue_kwargs=dict(mbstd_group_size=config.group), **widths, **shape)


def real_images(config):
    return torch.rand(config.batch, 1, config.resolution, config.resolution) * 2 - 1


def our_phases(config, bf16):
    """{phase: one forward and backward pass} of our model."""
    numerics = Numerics(0, autocast=torch.bfloat16 if bf16 else None)
    engine, real = Engine(our_model(config), numerics), real_images(config)

    def run(phase):
        engine.freeze(phase.trains)
        loss, _ = engine.forward(phase, Batch({"image": real}, config.batch).micro(0, 1, phase.share))
        loss.backward()
        engine.model.zero_grad(set_to_none=True)

    return {name: lambda p=engine.phases[name]: run(p) for name in EVERY}


def official_phases(clone, config):
    """{phase: one forward and backward pass} of the official code's own loss class."""
    G, D = official_networks(clone, config)
    from training.augment import AugmentPipe
    from training.loss import StyleGAN2Loss

    bgc = "xflip rotate90 xint scale rotate aniso xfrac brightness contrast lumaflip hue saturation".split()
    augment = None if config.augment == "none" else AugmentPipe(**dict.fromkeys(bgc, 1)).requires_grad_(False)
    if augment:
        augment.p.fill_(0.5)
    loss = StyleGAN2Loss(torch.device("cpu"), G.mapping, G.synthesis, D, augment, r1_gamma=0.1)
    real, z, c = real_images(config), torch.randn(config.batch, config.latent), torch.zeros(config.batch, 0)

    def run(phase):
        for module, live in ((G, phase[0] == "G"), (D, phase[0] == "D")):
            module.requires_grad_(live).zero_grad(set_to_none=True)
        loss.accumulate_gradients(phase, real, c, z, c, sync=True, gain=EVERY[phase])

    return {name: lambda name=name: run(name) for name in EVERY}


# ------------------------------------------------------------------------------------------------ equal outputs

RENAMED = (
    (r"^mapping\.fc(\d+)", r"mapping.layers.\1"),
    (r"\.conv0\.", ".up."),
    (r"\.conv1\.", ".conv."),
    (r"torgb", "grey"),
    (r"affine", "style"),
    (r"noise_strength", "strength"),
    (r"^synthesis\.b4\.const", "const"),
    (r"^mapping\.w_avg", "w_mean"),
)
RENAMED_D = (
    (r"^b\d+\.fromrgb", "grey"),
    (r"\.conv1\.", ".down."),
    (r"\.conv0\.", ".conv."),
    (r"^b4\.conv", "conv"),
    (r"^b4\.fc", "dense"),
    (r"^b4\.out", "out"),
)


def translated(state, ours, rules):
    """Official tensors under our names and in our shapes."""
    found, shapes = {}, {k: v.shape for k, v in ours.state_dict().items()}
    last = 4 * 2 ** (len(ours.blocks) if rules is RENAMED_D else 0)
    for key, value in state.items():
        for pattern, name in rules:
            key = re.sub(pattern, name, key)
        size = re.match(r"(?:synthesis\.)?b(\d+)\.", key)
        if size:
            r = int(size[1])
            at = (last // r if rules is RENAMED_D else r // 4).bit_length() - 1
            key = f"blocks.{at}.{key[size.end() :]}"
        if key in shapes:
            found[key] = value.reshape(shapes[key])
    if "grain" in shapes:
        found["grain"] = torch.cat([v.flatten() for k, v in state.items() if k.endswith("noise_const")])
    assert found.keys() == shapes.keys(), shapes.keys() ^ found.keys()
    return found


def difference(a, b):
    """Norm of the difference, relative to the norm."""
    return ((a - b).norm() / b.norm()).item()


def check(what, ours, theirs, allowed):
    """Print how far two tensors lie apart; end here where that is too far: of unequal mathematics no ratio means anything."""
    apart = difference(ours, theirs)
    print(f"difference of {what}: {apart:.1e} (allowed: {allowed:g})")
    if not apart <= allowed:
        sys.exit(f"the {what} of both codes differ by {apart:.1e}: they do not compute the same, so they are not timed")


def compare(clone, config):
    """Show that images, scores and gradients of the two are the same under equal weights and inputs."""
    G, D = official_networks(clone, config)
    for p in [p for n, p in G.named_parameters() if n.endswith("noise_strength")]:
        p.data.fill_(0.1)
    model = our_model(config)
    model.G.load_state_dict(translated(G.state_dict(), model.G, RENAMED))
    model.D.load_state_dict(translated(D.state_dict(), model.D, RENAMED_D))
    z, c = torch.randn(config.batch, config.latent), torch.zeros(config.batch, 0)
    ws = G.mapping(z, c, skip_w_avg_update=True)
    images = G.synthesis(ws, noise_mode="const")
    grain = model.G.grain.expand(config.batch, -1)
    mine = model.G.latents(z)[:, None].expand(-1, model.G.layers, -1)
    my_images = model.G(mine, grain)
    noise, real = torch.randn_like(images), images.detach().requires_grad_()
    shift = torch.autograd.grad((images * noise).sum() / config.resolution, ws, create_graph=True)[0]
    steep = torch.autograd.grad(D(real, c).sum(), real, create_graph=True)[0].square().sum((1, 2, 3))
    with input_gradients_only():
        my_lengths, my_steep = path_lengths(my_images, mine, noise), slope(model.D(real), real)
    losses = {
        "Gmain": (
            G,
            model.G,
            torch.nn.functional.softplus(-D(images, c)).mean(),
            logistic_generator(model.D(my_images)),
        ),
        "Greg": (G, model.G, shift.square().sum(2).mean(1).mean(), my_lengths.square().mean()),
        "Dreg": (D, model.D, steep.mean() / 2, zero_centred_penalty(my_steep)),
    }
    check("images", my_images, images, EQUAL)
    check("scores", model.D(real), D(real, c)[:, 0], EQUAL)
    for name, (theirs, ours, loss, my_loss) in losses.items():
        rules = RENAMED if theirs is G else RENAMED_D
        grads = torch.autograd.grad(loss, list(theirs.parameters()), retain_graph=True, allow_unused=True)
        state = {n: torch.zeros_like(p) if g is None else g for (n, p), g in zip(theirs.named_parameters(), grads)}
        expected = translated({**dict(theirs.named_buffers()), **state}, ours, rules)
        got = torch.autograd.grad(my_loss, list(ours.parameters()), retain_graph=True, allow_unused=True)
        pairs = [(g, expected[n]) for (n, _), g in zip(ours.named_parameters(), got) if g is not None]
        flat = [torch.cat([pair[i].flatten() for pair in pairs]) for i in (0, 1)]
        check(f"gradients of {name}", *flat, EQUAL_GRADIENTS)


# ------------------------------------------------------------------------------------------------ times


def serve(args):
    """Time the phases of one variant whose names come in, a line each: [processor, clock] seconds go out."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(args.threads)
    config = settings(args)
    official = args.variant.startswith("official")
    phases = official_phases(args.official, config) if official else our_phases(config, "bf16" in args.variant)
    for line in sys.stdin:
        began = time.process_time(), time.perf_counter()
        phases[line.strip()]()
        print(json.dumps([time.process_time() - began[0], time.perf_counter() - began[1]]), flush=True)


class Worker:
    """One variant in a process of its own, with or without the allocator's variables."""

    def __init__(self, variant):
        plain = {k: v for k, v in os.environ.items() if k not in ENVIRONMENT}
        environment = {**plain, **ENVIRONMENT} if "allocator" in variant else plain
        command = [sys.executable, __file__, *sys.argv[1:], "--variant", variant]
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.process = subprocess.Popen(command, env=environment, text=True, bufsize=1, **pipes)
        self.times = {name: [] for name in EVERY}

    def run(self, phase):
        """Run a phase there once and keep its times."""
        print(phase, file=self.process.stdin, flush=True)
        while not (answer := self.process.stdout.readline()).startswith("["):
            assert answer, "the process has ended"
        self.times[phase].append(json.loads(answer))

    def least(self, clock):
        """{phase: least seconds}, processor (0) or clock (1), the first, a warm-up, left out; and of a "step"."""
        phases = {name: min(times[clock] for times in self.times[name][1:]) for name in EVERY}
        return {**phases, "step": sum(seconds / EVERY[name] for name, seconds in phases.items())}


def in_turn(variants, rounds):
    """{variant: its `Worker`} once every phase of every variant has run in every round."""
    workers = {variant: Worker(variant) for variant in variants}
    for _ in range(1 + rounds):
        for phase in EVERY:
            for worker in workers.values():
                worker.run(phase)
    for worker in workers.values():
        worker.process.stdin.close()
        worker.process.wait()
    return workers


def tell(workers, clock):
    """Print the table of one clock."""
    print(f"{('processor', 'clock')[clock] + ' seconds':36}" + "".join(f"{n:>8}" for n in (*EVERY, "step", "ratio")))
    times = {variant: worker.least(clock) for variant, worker in workers.items()}
    steps = {variant: least["step"] for variant, least in times.items()}
    for variant, least in times.items():
        row = [*least.values(), steps["official"] / steps[variant]]
        print(f"{variant:36}" + "".join(f"{value:8.3f}" for value in row))
    ratios = {
        "official / ours, as it comes": steps["official"] / steps["ours"],
        "the same, the allocator's variables on both": steps["official + allocator"] / steps["ours + allocator"],
    }
    for name, ratio in ratios.items():
        if clock:  # other work on the machine moves it
            print(f"{name:44} {ratio:8.3f}   by the clock")
        else:
            target(name, ratio, least=1.5)


def computes_bf16():
    """Whether the processor multiplies bf16 matrices itself: its name for it, or None."""
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    return next((name for name in ("amx_bf16", "avx512_bf16") if name in flags), None)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--official", type=Path, default=Path("external/stylegan2-ada-pytorch"))
    parser.add_argument("--config", default="E4", choices=[k for k, c in CONFIGS.items() if c.published])
    parser.add_argument("--full", action="store_true", help="128 px at full width, not the CPU tier")
    parser.add_argument("--base", type=int, help="base / r channels at resolution r; default the config's")
    parser.add_argument("--batch", type=int, help="default the config's")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--variant", choices=VARIANTS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.variant:
        return serve(args)
    header()
    if not (args.official / "training" / "networks.py").is_file():
        raise BadInput(
            f"{args.official} is no clone of the official code; external/README.md has the command that makes one"
        )
    native, c = computes_bf16(), settings(args)
    size = f"{c.resolution} px, channel base {c.base}, at most {c.widest}, batch {c.batch}"
    print(f"{args.config}: {size}, {args.threads} threads, bf16 by {native}")
    compare(args.official, c)
    workers = in_turn(VARIANTS if native else VARIANTS[:-1], args.rounds)
    tell(workers, 0)
    tell(workers, 1)


if __name__ == "__main__":
    conclude(main)
