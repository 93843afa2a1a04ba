"""What a run shows of itself at a reading: images from noise, or the VAL frames translated; their sheet and their numbers."""

import numpy as np
import torch

from echogan import encoders
from echogan.config import seed_of
from echogan.contract import BLOCK, Batch
from echogan.data.images import grid
from echogan.engine import watch
from echogan.engine.evaluate import READINGS, Reading, spread
from echogan.engine.feed import plain_feed, resized, to_grey
from echogan.engine.sampling import Wanted, generated
from echogan.metrics.paired import reconstruction

SHEET = 36  # images of a sample grid: fixed latents, or fixed frames, through time
PANELS = 12  # translations of a sheet, each beside what it was made of


class Gallery:
    """The VAL side of a run; `look` is a reading."""

    def __init__(self, frames, config, inputs, device="cpu", seed=0, encoder=None):
        self.seed, self.device = seed, device
        parts = [frames.split(name) for name in ("TRAIN", "VAL")]
        goals = [part.domain("B") if "B" in inputs else part for part in parts]  # what images should look like
        chosen = [goal.where(_spread(goal)) for goal in goals]
        self.goal = resized(chosen[1].images, config.resolution).numpy()
        self.reading = Reading(resized(chosen[0].images, config.resolution).numpy(), self.goal, encoder=encoder)
        self.chosen_by = self.reading.chosen_by
        source = parts[1].domain("A") if "A" in inputs else chosen[1]
        self.feed = plain_feed(source.where(_spread(source)), config, inputs, device, seed)

    @staticmethod
    def criterion():
        """The column that chooses the best weights; lower is better."""
        return "KID_lite0" if encoders.available("lite0") else "SWD"

    def look(self, model, kimg):
        """(sample grid uint8 (H, W), {column: value} of metrics.csv) of a model at rest."""
        if model.makes(kimg) == "translate":
            images, sheet, row = self._translated(model)
        else:
            images = generated(model, max(READINGS, SHEET), Wanted(self.seed)).cpu().numpy()
            sheet, images, row = grid(images[:SHEET], columns=6), images[:READINGS], {}
        variety = watch.variety(images) / watch.variety(self.goal)
        return sheet, {**self.reading.row(images), **row, "variety": variety}

    def _translated(self, model):
        """Every VAL input translated; a sheet with its inputs before and its goal after each; how near it is to a true goal."""
        images, panels = [], []
        for first in range(0, len(self.feed), BLOCK):
            entries = torch.arange(first, min(first + BLOCK, len(self.feed)), device=self.feed.home)
            rng = torch.Generator().manual_seed(seed_of(self.seed, "translate", first))
            batch = Batch(self.feed.rows(entries), len(entries), rng=rng)
            images.append(to_grey(model.translated(batch)))
            if not first:
                before, after = model.panel(batch)
                panels = [*map(to_grey, before), images[0], *map(to_grey, after)]
        images = torch.cat(images).cpu().numpy()
        cells = torch.stack([panel[:PANELS] for panel in panels], 1).flatten(0, 1).cpu().numpy()
        row = reconstruction(images, self.goal) if model.paired else {}
        return images, grid(cells, columns=len(panels) * (6 // len(panels) or 1)), row


def _spread(frames):
    """Boolean (N,): at most `READINGS` of them, chosen as `spread` does."""
    keep = np.zeros(len(frames), bool)
    keep[spread(np.arange(len(frames)), READINGS)] = True
    return keep
