"""What a run shows of itself at a reading: images from noise, or the VAL frames translated; their sheet and their numbers."""

import numpy as np

from echogan import encoders
from echogan.contract import BLOCK
from echogan.data.images import grid
from echogan.engine import translating, watch
from echogan.engine.evaluate import READINGS, Reading, in_turn, spread
from echogan.engine.feed import plain_feed, resized
from echogan.engine.sampling import Wanted, generated
from echogan.errors import BadInput
from echogan.metrics.paired import reconstruction

SHEET = 36  # images of a sample grid: fixed latents, or fixed frames, through time


class Gallery:
    """The VAL side of a run; `look` is a reading."""

    def __init__(self, frames, config, inputs, device="cpu", seed=0, encoder=None):
        self.seed, self.device = seed, device
        parts = [frames.split(name) for name in ("TRAIN", "VAL")]
        goals = [part.domain("B") if "B" in inputs else part for part in parts]  # what images should look like
        chosen = [goal.where(_spread(goal)) for goal in goals]
        self.goal = resized(chosen[1].images, config.resolution).numpy()
        if not watch.variety(self.goal) > 0:
            raise BadInput(
                f"the VAL split has {len(self.goal)} picture{'s' * (len(self.goal) > 1)} without any difference, which tells no "
                "variety; give recordings of more patients, or more rows of VAL in index.csv"
            )
        self.reading = Reading(resized(chosen[0].images, config.resolution).numpy(), self.goal, encoder=encoder)
        self.chosen_by = self.reading.chosen_by
        source = parts[1].domain("A") if "A" in inputs else chosen[1]
        source = source.where(_spread(source))
        self.feed = plain_feed(source, config, inputs, device, seed)
        # Frames of one patient are much alike: beside each other they would look like collapse.
        self.shown = in_turn(source.index["patient"][:BLOCK], translating.PANELS)

    @staticmethod
    def criterion():
        """The column that chooses the best weights; lower is better."""
        return "KID_lite0" if encoders.available("lite0") else "SWD"

    def look(self, model, kimg):
        """(sample grid uint8 (H, W), {column: value} of metrics.csv) of a model, in evaluation mode."""
        if model.makes(kimg) == "translate":
            images = translating.translated(model, self.feed, Wanted(self.seed))
            sheet = translating.sheet(model, self.feed, images, self.shown)
            images = images.cpu().numpy()
            row = reconstruction(images, self.goal) if model.paired else {}
        else:
            images = generated(model, max(READINGS, SHEET), Wanted(self.seed)).cpu().numpy()
            sheet, images, row = grid(images[:SHEET], columns=6), images[:READINGS], {}
        variety = watch.variety(images) / watch.variety(self.goal)
        return sheet, {**self.reading.row(images), **row, "variety": variety, "stage": model.makes(kimg)}


def _spread(frames):
    """Boolean (N,): at most `READINGS` of them, chosen as `spread` does."""
    keep = np.zeros(len(frames), bool)
    keep[spread(np.arange(len(frames)), READINGS)] = True
    return keep
