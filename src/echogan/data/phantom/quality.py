"""Two domains of phantoms for an enhancer, low and high quality, with the truth that training never sees.

ROOT/{train,val,test}{A,B}/*.png        A: poor scans, B: excellent scans, of different patients
ROOT/masks/{train,val,test}{A,B}/*.png  label ids of the same pixels
ROOT/truth/{train,val,test}{A,B}/*.png  the same instant of the same heart by the other scan; for judgement only
ROOT/index.csv                          file, patient, split, domain, phase, EF, spacing of a pixel ...
ROOT/labels.json, chambers.csv, phantom.json

The degradation is physical: `scan.rescanned` makes the beam wider and shallower, adds noise, clutter, haze, shadows and
drop-out and takes gain, dynamic range and compounding, while the heart, its scatterers and the instant stay the same.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from echogan.data.clip import SPLITS
from echogan.data.images import write_png
from echogan.data.phantom.fan import stream
from echogan.data.phantom.patient import sample_patient
from echogan.data.phantom.phantom import Phantom
from echogan.data.phantom.scan import rescanned, sample_scan
from echogan.data.phantom.study import splits
from echogan.data.phantom.workers import check_patients, in_processes, patient_seed, write_csv, write_provenance
from echogan.errors import BadInput
from echogan.files import atomic_folder, write_json
from echogan.sector import ECHONET

FIRST = {"A": 500_000, "B": 600_000}  # phantoms: other patients in each domain, and than in other layouts
LOW, HIGH = (-0.25, 0.20), (0.85, 1.0)
FOLDERS = dict(zip(SPLITS, ("train", "val", "test")))
LABELS = {"outside": 0, "left ventricle": 1, "myocardium": 2, "left atrium": 3, "inside": 4}
GRADES = {"A": "Poor", "B": "Good"}
INDEX = ("file", "patient", "split", "domain", "view", "phase", "time_s", "quality", "scan", "EF", "spacing_mm")


@dataclass(frozen=True)
class Recipe:
    """What all patients of both domains share."""

    seed: int
    stills: int
    size: int


def pair(seed, index, domain):
    """One patient of a domain under its own scan and under the other: `Phantom`s of the same scatterers."""
    number = patient_seed(seed, FIRST[domain] + index)
    rng = stream(number, "domain")
    low, high = rng.uniform(*LOW), rng.uniform(*HIGH)
    own, other = (low, high) if domain == "A" else (high, low)
    patient, scan = sample_patient(number), sample_scan(number, own)
    return Phantom(patient, scan), Phantom(patient, rescanned(scan, other, number))


def write_quality(root, patients, seed=0, stills=4, size=256, workers=None, callback=None):
    """Write `patients` phantoms, half in each domain, to the new folder `root`; `stills` pictures of each.

    They are end diastole, end systole and instants at random, `size` pixels wide. Splits are 80/10/10 by patient in each
    domain. Equal seeds give equal files; `workers` and `callback(done, total)` as in `study.write_echonet`.
    """
    check_patients(patients, seed, fewest=6)
    if stills < 1 or size < 32:
        raise BadInput(f"{stills} pictures of {size} pixels are too few; ask for at least 1 of 32")
    with atomic_folder(root) as folder:
        each = {"A": patients - patients // 2, "B": patients // 2}
        split = {domain: splits(n, seed) for domain, n in each.items()}
        jobs = [(domain, index, split[domain][index]) for domain, n in each.items() for index in range(n)]
        for kind in ("", "masks", "truth"):
            for name in FOLDERS.values():
                for domain in each:
                    (folder / kind / f"{name}{domain}").mkdir(parents=True)
        records = []
        for record in in_processes(partial(_write_patient, folder, Recipe(seed, stills, size)), jobs, workers):
            records.append(record)
            if callback:
                callback(len(records), patients)
        _write_tables(folder, records)
        write_json(folder / "labels.json", LABELS)
        write_provenance(folder, "quality domains", seed=seed, patients=patients, stills=stills, size=size)


def _write_patient(folder, recipe, job):
    """Write the pictures, masks and truth of one patient; its rows of index.csv and its row of chambers.csv."""
    domain, index, split = job
    own, other = pair(recipe.seed, index, domain)
    sector, patient = ECHONET.resized(recipe.size), f"{domain}{index:05d}"
    inside = sector.mask()
    rows = []
    for number, (phase, time) in enumerate(_instants(own, recipe.stills)):
        file = f"{FOLDERS[split]}{domain}/{patient}_f{number:0{len(str(recipe.stills - 1))}d}.png"
        mask = own.labels(own.at(time), sector)
        write_png(folder / file, own.still(time, sector))
        write_png(folder / "truth" / file, other.still(time, sector))
        write_png(folder / "masks" / file, np.where(inside & (mask == 0), np.uint8(LABELS["inside"]), mask))
        rows.append((file, patient, split, domain, own.patient.view, phase, time, GRADES[domain], own.scan.quality,
                     own.patient.ef, own.spacing_mm(sector)[0]))  # fmt: skip
    return rows, {"Patient": patient, "Domain": domain, "EF": own.patient.ef, **own.chambers(), "Split": split}


def _instants(phantom, stills):
    """(phase, seconds after end diastole) of every picture."""
    named = [("diastole", 0.0), ("systole", phantom.end_systole)]
    drawn = stream(phantom.patient.seed, "domain", 1).uniform(0, phantom.timing.period, stills)
    return [*named, *(("other", float(time)) for time in drawn)][:stills]


def _write_tables(folder, records):
    write_csv(folder / "index.csv", INDEX, [row for rows, _ in records for row in rows])
    write_csv(folder / "chambers.csv", tuple(records[0][1]), [tuple(row.values()) for _, row in records])
