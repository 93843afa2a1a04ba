"""`Phantom`: one synthetic patient under one scanner, with videos, stills and everything that is true about them."""

import numpy as np

from echogan.data.phantom.cycle import Beat, Timing, beat_at
from echogan.data.phantom.fan import HALF_ANGLE, RADIUS, stream
from echogan.data.phantom.heart import Heart, method_of_discs, outline
from echogan.data.phantom.imaging import Imager, burn_marks, check_sector, in_fan, scan_convert
from echogan.data.phantom.patient import sample_patient
from echogan.data.phantom.raster import enclosed
from echogan.data.phantom.scan import sample_scan
from echogan.data.phantom.scatterers import Leaflets, receive, scatter
from echogan.data.phantom.tissue import Anatomy
from echogan.sector import ECHONET

LABELS = {"lv": 1, "epi": 2, "la": 3, "rv": 4, "ra": 5}  # CAMUS codes, then ours

# Wall thickness (cm, end diastole) from which a left ventricle is called hypertrophic here. ASE/EACVI 2015
# (Lang et al., J Am Soc Echocardiogr 28:1-39) ends the normal range at 0.9 cm (women) and 1.0 cm
# (men); 1.2 cm is abnormal in both. The guideline measures in the parasternal view and in real patients: the
# flag says how this phantom was built, nothing more.
HYPERTROPHIC_WALL = 1.2


def make_phantom(seed, view="4CH", quality=None, ef=None, marks=False):
    """The synthetic patient number `seed` (0, 1, ...) in an apical `view` ("4CH" or "2CH").

    `quality` (-0.25 poorest .. 1 best) and `ef` (12-80 %) are drawn unless given; `marks` burns a probe mark
    and ruler into frames of the EchoNet-Dynamic sector. Equal arguments give bit-identical pixels under equal
    library versions.
    """
    return Phantom(sample_patient(seed, view, ef), sample_scan(seed, quality, marks))


class Phantom:
    """A heart of scatterers that beats under a scanner; every artefact made of it is a *synthetic phantom*.

    The left ventricle is placed within `half_angle` (radians): give that of the sector where it is narrower than 45 degrees.
    """

    def __init__(self, patient, scan, half_angle=HALF_ANGLE):
        self.patient, self.scan = patient, scan
        self.heart = Heart(patient, half_angle)
        self.timing = Timing.of(patient.heart_rate)
        self.scale = RADIUS / self.heart.depth  # units per cm
        anatomy = Anatomy(self.heart.contours(0.0, 0.0), self.scale)
        self._scatterers = scatter(anatomy, self.heart, scan, patient.seed)
        self._leaflets = Leaflets.of(self.heart, self.scale, patient.seed)
        self._imager = Imager(scan, self.scale, self.heart.depth, patient.seed)

    # ------------------------------------------------------------------------------------------------ pictures

    def video(self, n, fps=50.0, sector=ECHONET, start=None, only=None):
        """`n` frames uint8 (n, H, W) and their `Beat`; `start` is the first frame's time (s) after an end diastole.

        With `only`, ascending numbers of frames, all others are imaged (they persist) and not returned. Without `start`
        the phase is the patient's own. The heart also sways with breathing and the hand: sines of a period of 3.2-5.5 s
        and amplitudes |N(0, 0.10)| and |N(0, 0.16)| cm, and 0.06 cm with each contraction.
        """
        check_sector(sector)
        beat = self._swaying(n, fps, start)
        rng = stream(self.patient.seed, "video")
        wanted = list(range(n) if only is None else only)
        frames = np.empty((len(wanted), sector.height, sector.width), np.uint8)
        fresh = np.float32(1 - self.scan.persistence)
        shown = None
        for i in range(n):
            polar = self._polar(beat[i], rng)
            shown = polar if shown is None else shown + fresh * (polar - shown)
            if i in wanted:
                frames[wanted.index(i)] = self._picture(shown, sector)
        return frames, beat[wanted]

    def still(self, time=0.0, sector=ECHONET):
        """The frame (H, W) uint8 `time` seconds after an end diastole, without sway or persistence."""
        check_sector(sector)
        return self._picture(self._polar(self.at(time), stream(self.patient.seed, "still")), sector)

    def at(self, time):
        """The `Beat` (without sway) at times in seconds after an end diastole."""
        return beat_at(time, self.timing)

    @property
    def end_systole(self):
        """Seconds from end diastole to the smallest volume."""
        return self.timing.systole

    def _swaying(self, n, fps, start):
        rng = stream(self.patient.seed, "sway")
        period, phase = rng.uniform(3.2, 5.5), rng.uniform(0, 2 * np.pi)
        amplitude = np.abs(rng.normal(0, (0.10, 0.16)))
        drawn = rng.uniform(0, self.timing.period)
        beat = self.at((drawn if start is None else start) + np.arange(n) / fps)
        turn = 2 * np.pi * beat.time[:, None] / period + (phase, 0)
        rocking = 0.06 * beat.contraction[:, None] * (1, 0)
        return Beat(beat.time, beat.contraction, beat.kick, beat.opening, amplitude * np.sin(turn) + rocking)

    def _polar(self, instant, rng):
        return self._imager(receive(self._scatterers, self._leaflets, self.scale, instant), rng)

    def _picture(self, polar, sector):
        picture = scan_convert(polar, self.scan, sector)
        if self.scan.marks and sector == ECHONET:
            burn_marks(picture, self.patient.seed)
        return picture

    # --------------------------------------------------------------------------------------------------- truth

    def curves(self, instant, sector=ECHONET):
        """Name -> contour (n, 2) as x, y in pixels of `sector`; the names are those of `Heart.contours`."""
        scale = sector.radius / self.heart.depth * np.array([1, sector.stretch])
        apex = sector.apex_x, sector.apex_y
        curves = self.heart.contours(instant.contraction, instant.kick)
        return {name: (curve + instant.shift) * scale + apex for name, curve in curves.items()}

    def labels(self, instant, sector=ECHONET, right=False):
        """Label image uint8 (H, W): 1 left ventricle, 2 its wall, 3 left atrium; with `right` also 4 RV and 5 RA.

        A pixel belongs to a chamber whose outline encloses its centre.
        """
        check_sector(sector)
        curves = self.curves(instant, sector)
        labels = np.zeros((sector.height, sector.width), np.uint8)
        for name in ("rv", "ra", "la", "epi", "lv") if right else ("la", "epi", "lv"):
            if name in curves:
                labels[enclosed(outline(curves, name), labels.shape)] = LABELS[name]
        return labels * in_fan(sector)

    def tracing(self, instant, sector=ECHONET):
        """The left ventricle as EchoNet-Dynamic traces it, (21, 4) x1, y1, x2, y2 in pixels; row 0 is the long axis."""
        return method_of_discs(self.curves(instant, sector)["lv"])[0]

    def volume(self, instant):
        """Left-ventricular volume in mL at one instant."""
        return self.heart.volume(float(instant.contraction))

    def spacing_mm(self, sector=ECHONET):
        """(row, column) mm per pixel of `sector`."""
        mm = 10 * self.heart.depth / sector.radius
        return mm / sector.stretch, mm

    def chambers(self):
        """Sizes of the chambers at end diastole and end systole: column name -> value, for `chambers.csv`.

        Areas in cm2 at both ends of systole, volumes in mL (LV by discs, LA by discs at its largest, end
        systole), diameters in cm (the widest chord across the long axis; of the right ventricle its annulus),
        the mean wall of the left ventricle in cm and whether it is hypertrophic (see `HYPERTROPHIC_WALL`).
        """
        diastole, systole = (self.heart.contours(s, 0.0) for s in (0.0, 1.0))
        sizes = {}
        for name in ("lv", "la", "rv", "ra"):
            if name in diastole:
                for phase, curves in (("ED", diastole), ("ES", systole)):
                    sizes[f"{name.upper()}_area_{phase}_cm2"] = _area(outline(curves, name))
        sizes |= {f"LV_volume_{phase}_mL": self.heart.volume(s) for phase, s in (("ED", 0.0), ("ES", 1.0))}
        sizes["LA_volume_ES_mL"] = method_of_discs(systole["la"])[1]
        sizes |= {"LV_diameter_ED_cm": _widest(diastole["lv"]), "LA_diameter_ES_cm": _widest(systole["la"])}
        if "rv" in diastole:
            sizes["RV_diameter_ED_cm"] = float(np.hypot(*np.diff(diastole["tv"], axis=0)[0]))
            sizes["RA_diameter_ES_cm"] = _widest(systole["ra"])
        wall = self.heart.wall_thickness()
        return sizes | {"LV_wall_ED_cm": wall, "lvh": wall >= HYPERTROPHIC_WALL}


def _area(polygon):
    """Shoelace formula."""
    x, y = polygon.T
    return float(abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2)


def _widest(chamber):
    chords = method_of_discs(chamber)[0][1:]
    return float(np.hypot(chords[:, 2] - chords[:, 0], chords[:, 3] - chords[:, 1]).max())
