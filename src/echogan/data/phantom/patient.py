"""Who lies under the transducer: the dimensions of one heart and where it sits, drawn from published distributions."""

from dataclasses import dataclass

import numpy as np

from echogan.data.phantom.fan import stream
from echogan.errors import BadInput, nearest

VIEWS = ("4CH", "2CH")
EF_RANGE = (12.0, 80.0)

# Mixture of normal, mildly and severely reduced function: (share, mean, sd) in %. With the clip to EF_RANGE
# this gives 55.9 +- 11.9; EchoNet-Dynamic publishes 55.7 +- 12.5.
EF_MIXTURE = ((0.74, 61.5, 5.5), (0.14, 49.0, 6.5), (0.12, 31.0, 8.0))

# Share of patients with a thick left ventricle, and their wall in cm. Everybody else's wall has a mean of 0.74
# cm, which is inside the normal 0.6-1.0 cm of ASE/EACVI 2015 (Lang et al., J Am Soc Echocardiogr 28:1-39) for
# either sex.
HYPERTROPHY = 0.10
THICK_WALL = (1.45, 0.13, 1.25, 1.9)

# name: (mean, standard deviation, lowest, highest); cm, degrees or ratios.
PRIORS = {
    "heart_rate": (70, 13, 45, 125),  # beats per minute
    "margin": (2.1, 0.8, 0.6, 4.5),  # what is seen behind the atria
    "apex_x": (-0.1, 0.55, -1.6, 1.6),  # left-ventricular apex, right of the transducer
    "apex_y": (2.0, 0.45, 1.0, 3.4),  # and below it
    "tilt": (-6, 6.5, -22, 11),  # of the long axis, positive turns the base to the left
    "sphericity": (0.675, 0.05, 0.50, 0.84),  # width / length of the left ventricle
    "wall": (0.74, 0.12, 0.52, 1.1),
    "asymmetry": (0.06, 0.05, -0.08, 0.2),  # the lateral half is wider than the septal one by 1 + a : 1 - a
    "bend": (0, 0.025, -0.06, 0.06),  # of the long axis, in lengths
    "bluntness": (2.15, 0.25, 1.7, 2.9),  # exponent of the apical cap
    "annulus": (0.79, 0.05, 0.65, 0.92),  # mitral annulus / widest width
    "rv_width": (3.7, 0.5, 2.5, 5.4),
    "rv_apex": (0.25, 0.07, 0.08, 0.36),  # level at which the right ventricle leaves the septum
    "tricuspid_offset": (0.55, 0.15, 0.2, 1.0),  # tricuspid hinge above the mitral one
    "la_width": (1.04, 0.14, 0.8, 1.6),  # in mitral annuli
    "la_height": (3.25, 0.55, 2.3, 5.4),
    "ra_width": (0.98, 0.13, 0.75, 1.4),  # in right-ventricular widths
    "ra_height": (3.15, 0.5, 2.2, 4.8),
    "regional_amount": (0, 0.12, -0.45, 0.2),  # uneven contraction around the ventricle
}


@dataclass(frozen=True)
class Patient:
    """One heart and its position; lengths in cm, EF in %, EDV in mL, everything else as in `PRIORS`."""

    seed: int
    view: str
    ef: float
    edv: float
    regional_place: float  # 0..1 around the ventricle
    heart_rate: float
    margin: float
    apex_x: float
    apex_y: float
    tilt: float
    sphericity: float
    wall: float
    asymmetry: float
    bend: float
    bluntness: float
    annulus: float
    rv_width: float
    rv_apex: float
    tricuspid_offset: float
    la_width: float
    la_height: float
    ra_width: float
    ra_height: float
    regional_amount: float


def sample_patient(seed, view="4CH", ef=None):
    """Draw the patient `seed`; a given `ef` (12-80 %) replaces the drawn one and dilates the heart accordingly.

    End-diastolic volume is log-normal around 80 mL (sd of the logarithm 0.38) and grows by 1.8 % for each point
    of EF below 50: 90.7 +- 37.5 mL, against 91.0 +- 45.7 published for EchoNet-Dynamic. Failing hearts are also
    rounder and contract less evenly.
    """
    if view not in VIEWS:
        raise BadInput(f"the phantom has no view {view!r}{nearest(view, VIEWS)}")
    if seed < 0:
        raise BadInput(f"a phantom has no number {seed}; choose 0 or more")
    if ef is not None and not EF_RANGE[0] <= ef <= EF_RANGE[1]:
        raise BadInput(
            f"an ejection fraction of {ef} % is outside {EF_RANGE[0]:g}-{EF_RANGE[1]:g} %; choose one inside"
        )
    rng = stream(seed, "patient")
    drawn = _draw_ef(rng)
    ef = drawn if ef is None else float(ef)
    failing = max(0.0, 50.0 - ef)
    edv = np.exp(rng.normal(np.log(80), 0.38)) * (1 + 0.018 * failing)
    shifts = {"sphericity": 0.0014 * failing, "regional_amount": -0.004 * failing}
    values = {name: _draw(rng, prior, shifts.get(name, 0.0)) for name, prior in PRIORS.items()}
    thick = stream(seed, "hypertrophy")
    if thick.random() < HYPERTROPHY:
        values["wall"] = _draw(thick, THICK_WALL)
    return Patient(seed, view, ef, float(np.clip(edv, 30, 320)), float(rng.uniform(0.1, 0.9)), **values)


def _draw(rng, prior, shift=0.0):
    mean, deviation, low, high = prior
    return float(np.clip(rng.normal(mean + shift, deviation), low, high))


def _draw_ef(rng):
    shares, means, deviations = np.transpose(EF_MIXTURE)
    candidates = rng.normal(means, deviations)
    return float(np.clip(rng.choice(candidates, p=shares), *EF_RANGE))
