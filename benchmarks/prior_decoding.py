"""What parallel decoding would have to beat: VQGAN's prior walking token by token, beside whole passes of the same network.

Masked parallel decoding (MaskGIT, Chang 2022) sees every token at each of its 8 to 12 steps; a walk with cached keys sees each
token once, in as many steps as there are tokens. Steps of parallel decoding that take as long as the walk = walk / pass: where
that is below 8, parallel decoding is slower before its quality is asked for. Random weights, full size (`grid16`, 256 tokens).

    python benchmarks/prior_decoding.py [--config grid16] [--images 16 128] [--repeats 3] [--device cpu]
"""

import argparse
import time

import torch
from common import conclude, header, target

from echogan.engine.launch import pick_device
from echogan.layers.gpt import GPT, drawn
from echogan.models import vqgan

STEPS = 8  # passes that parallel decoding takes at least


def seconds(work, device, repeats):
    """The quickest of some tries."""
    taken = []
    for _ in range(repeats + 1):  # the first one warms up
        began = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - began)
    return min(taken[1:])


def measure(prior, n, device, repeats):
    """(seconds of a walk, of one whole pass) for `n` images."""
    label = torch.zeros(n, dtype=torch.long, device=device)
    chance = torch.rand(n, prior.length, device=device)
    tokens = prior.walk(label, lambda logits, t: drawn(logits, chance[:, t]))
    walk = seconds(lambda: prior.walk(label, lambda logits, t: drawn(logits, chance[:, t])), device, repeats)
    return walk, seconds(lambda: prior(tokens, label), device, repeats)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="grid16", choices=vqgan.CONFIGS)
    parser.add_argument("--images", type=int, nargs="+", default=[16, 128])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="auto")
    wanted = parser.parse_args()
    header(wanted.device)
    device, c = pick_device(wanted.device), vqgan.CONFIGS[wanted.config]
    prior = GPT(c.codes, c.grid**2, c.prior_width, c.depth, max(2, c.prior_width // 32)).to(device).eval()
    print(f"{wanted.config}: {c.grid**2} tokens, width {c.prior_width}, {c.depth} blocks")
    with torch.no_grad():
        for n in wanted.images:
            walk, whole = measure(prior, n, device, wanted.repeats)
            print(f"{n:4d} images: walk {walk:.2f} s, one pass {whole:.2f} s")
            target(f"walk / pass, {n} images", walk / whole, most=STEPS)


if __name__ == "__main__":
    conclude(main)
