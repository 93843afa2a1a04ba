"""The space W of a trained StyleGAN2: latents of seeds, images of latents, and three looks at what it holds."""

import numpy as np
import torch

from echogan.config import seed_of
from echogan.contract import BLOCK
from echogan.engine.checkpoint import load_weights
from echogan.engine.feed import resized, to_grey
from echogan.engine.sampling import class_of, classes_of, find_weights
from echogan.errors import BadInput, finite
from echogan.metrics.registration import Gallery


class Space:
    """A generator in evaluation mode, addressed by its latents; of a conditional one, `label` is the class of all images.

    `names` are those of the classes, for whoever has chosen none.
    """

    def __init__(self, model, label=None, names=()):
        if not hasattr(getattr(model, "G", None), "w_mean"):
            raise BadInput(f"{type(model).__name__} has no latent space W; choose a run of stylegan2_ada")
        self.G, self.label = model.eval().requires_grad_(False).G, label
        self.device, self.size = self.G.w_mean.device, self.G.maps[-1]
        if self.G.mapping.classes and label is None:
            known = f": {', '.join(names)}" if names else ""
            raise BadInput(
                f"a conditional run has one latent space for each class; choose one by --label (in a notebook: label){known}"
            )

    @torch.no_grad()
    def of_seeds(self, seeds, truncation=1.0):
        """(n, latent): the w of each seed, pulled toward the mean by a truncation below 1."""
        if not len(seeds):
            raise BadInput("there is no seed to draw; give 1 or more")
        rows = [torch.randn(self.width, generator=torch.Generator().manual_seed(seed_of(seed, "z"))) for seed in seeds]
        return torch.lerp(self.G.w_mean, self._mapped(torch.stack(rows)), finite(truncation, "truncation"))

    @torch.no_grad()
    def sample(self, n, seed=0):
        """(n, latent): random w, to measure the space by."""
        return self._mapped(torch.randn(n, self.width, generator=torch.Generator().manual_seed(seed_of(seed, "w"))))

    def _mapped(self, z):
        label = None if self.label is None else torch.full((len(z),), self.label, device=self.device)
        return self.G.latents(z.to(self.device), label)

    width = property(lambda self: self.G.w_mean.numel())

    def layered(self, w):
        """(n, latent) -> (n, layers, latent): the same w for every layer."""
        return w[:, None].expand(-1, self.G.layers, -1)

    @torch.no_grad()
    def draw(self, ws, grain=None):
        """uint8 images (n, H, W) of latents (n, latent) or (n, layers, latent), with the constant noise or a `grain` each."""
        ws = self.layered(ws) if ws.ndim == 2 else ws
        grain = self.G.grain.expand(len(ws), -1) if grain is None else grain
        parts = [to_grey(self.G(w, n).clamp(-1, 1)) for w, n in zip(ws.split(BLOCK), grain.split(BLOCK))]
        return torch.cat(parts).cpu().numpy()


def open_space(source, kimg=None, device="cpu", label=""):
    """(`Space` of a run, <arch>/<config> or .safetensors file, the header of its weights).

    label: name of a class, of a conditional run.
    """
    model, header = load_weights(find_weights(source, kimg), device)
    return Space(model, class_of(header, label), classes_of(header)), header


# ------------------------------------------------------------------------------------------------ three looks


def mixed(space, coarse, fine, border=4, truncation=1.0):
    """Style mixing (Karras 2019): uint8 (len(coarse), len(fine), H, W) of seeds.

    The first `border` layers, which lay out the scene, take the w of the row, all later ones that of the column.
    """
    if not 0 < border < space.G.layers:
        raise BadInput(
            f"the border lies between two of {space.G.layers} layers: 1 to {space.G.layers - 1}, got {border}"
        )
    a, b = (space.layered(space.of_seeds(seeds, truncation)) for seeds in (coarse, fine))
    rows = [torch.cat([row[:border].expand(len(b), -1, -1), b[:, border:]], 1) for row in a]
    return np.stack([space.draw(row) for row in rows])


def sweep(space, seeds, truncations):
    """uint8 (len(seeds), len(truncations), H, W): what each w becomes on its way to the mean (0) and beyond itself (> 1)."""
    if not len(truncations):
        raise BadInput("there is no truncation to draw; give 1 or more")
    w, mean = space.of_seeds(seeds), space.G.w_mean
    return np.stack([space.draw(torch.lerp(mean, w, float(finite(psi, "truncation")))) for psi in truncations], 1)


def neighbours(space, seeds, frames, truncation=1.0, callback=None):
    """(samples uint8 (n, H, W), their nearest real frames uint8 (n, H, W), copy distances (n,), rows of the index).

    Nearest is what the audit calls so: by texture, over crops, turns and grey curves; 0 is a copy.
    """
    samples = space.draw(space.of_seeds(seeds, truncation))
    found = Gallery.of(frames.images, device=space.device).nearest(samples, callback=callback)
    nearest = resized(frames.images[found.index], space.size).numpy()
    return samples, nearest, found.distance, frames.index.iloc[found.index]
