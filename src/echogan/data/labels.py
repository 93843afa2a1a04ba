"""Label schemas, {name: id}: which of their labels are anatomy."""

BACKGROUND = ("background", "outside", "inside")  # of the sector, or of the picture: no structure


def structures(labels):
    """{name: id} of the labels that name a structure."""
    return {name: number for name, number in labels.items() if name not in BACKGROUND}
