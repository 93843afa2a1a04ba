"""What the original studies published: number, how it was measured, whether ours may stand beside it."""

from echogan.report.run import ARCHITECTURES

# fmt: off
PUBLISHED = {
    "stylegan2_ada": ("FID 9.17 (E4, lowest of 141 readings; rolling median of seven 10.6; last 26.7)",
                      "50,000 images against all 40,120 EchoNet-Dynamic frames that it was trained on",
                      "only by `make study DATA=EchoNet-Dynamic TIER=gpu`, which measures it so, beside held-out patients"),
    "medgan":        ("FID 63.5 (M2, lowest; 63.34 in the paper), KID 0.0044 (M1, lowest)",
                      "FID of one batch, Inception without its normalisation; training frames", "no: FID follows the batch size"),
    "wgan":          ("FID 68.3 (W6, lowest)", "its code is not public; its values look like MedGAN's; training frames", "no"),
    "vqgan":         ("FID 14.51 (paper; 139.5 in its own tables, VQ6, lowest), SSIM 0.99",
                      "reconstructions of training frames; the code of its FID is not public", "no: it generated nothing"),
    "pix2pix":       ("FID 32.15, SSIM 0.42 (paper)", "no code and no table of readings is public", "no"),
    "spade":         ("no number (cardiGAN)", "real and generated images lay apart; segmentation gained nothing", "no"),
    "cyclegan":      ("no number (EchoGANhance)", "judged by eye", "no"),
}
# fmt: on


def rows(archs):
    """A row of the table for each of `archs`, {column: cell}."""
    for arch in archs:
        number, how, comparable = PUBLISHED.get(arch, ("–",) * 3)
        yield {"": ARCHITECTURES.get(arch, arch), "published": number, "measured on": how, "comparable": comparable}
