"""Real frames into latent space (Karras 2020, section 5 and appendix D).

    w, n = argmin LPIPS(x, G(w, n)) + a sum over maps and their halvings of (mean n n_right)^2 + (mean n n_below)^2

The second sum keeps the noise maps noise: a picture painted into them would be alike between neighbours. Our LPIPS is that
of AlexNet, where the paper takes VGG's. W+ lets every layer have a w of its own: closer, and further from what is typical.
"""

from dataclasses import dataclass
from math import cos, pi

import numpy as np
import torch
import torch.nn.functional as F

from echogan.engine.feed import resized
from echogan.errors import BadInput

NOISE_WEIGHT = 1e5
RATE, RAMP_UP, RAMP_DOWN = 0.1, 0.05, 0.25  # of Adam; shares of the steps
SHAKE, SHAKEN = 0.05, 0.75  # noise on w, in its standard deviations; share of the steps in which it fades
CANDIDATES = 32  # nearest in pixels, of which the nearest by LPIPS is taken


@dataclass(frozen=True)
class Projection:
    """What was found for each of n frames."""

    ws: torch.Tensor  # (n, layers, latent)
    grain: torch.Tensor  # (n, pixels of all noise maps)
    images: np.ndarray  # uint8 (n, H, W): what the generator draws of them
    targets: np.ndarray  # uint8 (n, H, W): the frames at its size
    distance: np.ndarray  # (n,) LPIPS


def project(space, images, lpips, steps=500, plus=False, seed=0, callback=None):
    """The `Projection` of frames uint8 (n, H, W) into W, or W+ with `plus`; `lpips` is `encoders.lpips.lpips()`.

    Frames do not see each other, so n only saves time. Progress goes to `callback(step, steps)`.
    """
    if steps < 10:
        raise BadInput(f"a projection needs 10 steps or more, got {steps}")
    if not len(images):
        raise BadInput("there is no frame to look for; give 1 or more")
    targets = resized(np.asarray(images), space.size, space.device)
    goal = targets[:, None].float() / 127.5 - 1
    rng = torch.Generator().manual_seed(seed)
    w = space.sample(10_000, seed)
    spread = (w - w.mean(0)).square().sum(1).mean().sqrt()
    ws = w.mean(0).repeat(len(goal), space.G.layers if plus else 1, 1).requires_grad_()
    grain = torch.randn(len(goal), space.G.grain.numel(), generator=rng).to(space.device).requires_grad_()
    adam = torch.optim.Adam([ws, grain], betas=(0.9, 0.999))
    for step in range(steps):
        adam.param_groups[0]["lr"] = RATE * rate(step / steps)
        shake = spread * SHAKE * max(0.0, 1 - step / steps / SHAKEN) ** 2
        shaken = ws + shake * torch.randn(ws.shape, generator=rng).to(ws)
        drawn = space.G(shaken.expand(-1, space.G.layers, -1), grain)
        loss = lpips(drawn, goal).sum() + NOISE_WEIGHT * likeness(grain, space.G.maps)
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
        with torch.no_grad():
            grain.copy_(normalised(grain, space.G.maps))
        if callback:
            callback(step + 1, steps)
    return _found(space, ws.detach().expand(-1, space.G.layers, -1), grain.detach(), targets, lpips)


def rate(t):
    """Factor on the learning rate at the share t of the steps: up in a line, down in half a cosine."""
    return min(1.0, t / RAMP_UP) * (0.5 - 0.5 * cos(pi * min(1.0, (1 - t) / RAMP_DOWN)))


def likeness(grain, maps):
    """How alike neighbours are in noise maps (n, pixels), at every scale down to 8 px, summed over maps and frames."""
    total = grain.new_zeros(())
    for noise in _each_map(grain, maps):
        while True:
            for axis in (2, 3):
                total = total + (noise * noise.roll(1, axis)).mean((1, 2, 3)).square().sum()
            if noise.shape[-1] <= 8:
                break
            noise = F.avg_pool2d(noise, 2) * 2  # of independent pixels: unit variance again
    return total


def normalised(grain, maps):
    """Every noise map at mean 0 and mean square 1."""
    rows = []
    for noise in _each_map(grain, maps):
        centred = noise - noise.mean((2, 3), keepdim=True)
        rows.append((centred * (centred.square().mean((2, 3), keepdim=True) + 1e-8).rsqrt()).flatten(1))
    return torch.cat(rows, 1)


def _each_map(grain, maps):
    return [part.view(-1, 1, r, r) for part, r in zip(grain.split([r * r for r in maps], 1), maps)]


def _found(space, ws, grain, targets, lpips):
    images = space.draw(ws, grain)
    distance = lpips.between(torch.from_numpy(images), targets.cpu()).cpu().numpy()
    return Projection(ws, grain, images, targets.cpu().numpy(), distance)


def nearest_frames(images, gallery, lpips):
    """(uint8 (n, H, W), LPIPS (n,)): of each frame, the nearest of `gallery` uint8 (N, H, W) by LPIPS.

    Looked for among the `CANDIDATES` nearest in pixels: so the distance is an upper bound of the least there is.
    """
    images, rest = torch.from_numpy(np.asarray(images)), torch.from_numpy(np.asarray(gallery))
    best = torch.full((len(images),), torch.inf, dtype=torch.float64)
    found = torch.empty_like(images)
    for i, image in enumerate(images):
        near = _nearest(image, rest, min(CANDIDATES, len(rest)))
        distances = lpips.between(near, image.expand(len(near), -1, -1)).cpu()
        best[i], found[i] = distances.min(), near[distances.argmin()]
    return found.numpy(), best.numpy()


def _nearest(image, gallery, k):
    """The k of `gallery` nearest to an image in pixels."""
    distances = torch.cat([(part.float() - image.float()).square().flatten(1).sum(1) for part in gallery.split(512)])
    return gallery[distances.topk(k, largest=False).indices]
