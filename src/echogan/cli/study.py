"""The command that runs the whole study: data, every architecture and config, TEST, repeats, privacy, galleries, use, figures.

Nothing is remembered but which data were asked for: what is done is read from the files that each step leaves, so the same
command goes on after any interruption. A study has folders of its own within experiments/ and results/; those of the
reference phantom at the CPU tier are these folders themselves.
"""

import os
import sys
from pathlib import Path
from typing import Literal

from echogan.cli.app import Precision, command
from echogan.cli.asked import keep_asked
from echogan.cli.parts import PARTS
from echogan.cli.plan import FAKES, REFERENCE, Plan
from echogan.cli.steps import take
from echogan.config import Settings, shown
from echogan.errors import BadInput
from echogan.files import read_json


@command
def study(
    data: str = "",
    camus: str = "",
    tier: Literal["cpu", "gpu"] = "cpu",
    only: tuple[str, ...] = (),
    patients: int = REFERENCE,
    kimg: float | None = None,
    seeds: int = 3,
    fakes: int = FAKES,
    precision: Precision = "auto",
    accumulate: int = Settings.accumulate,
):
    """Run the whole study: data, every config of every architecture, TEST, repeats, audits, figures. Given again, it goes on.

    What is done is left alone; what fails is named at the end and stops nothing else. Beside each other, studies share the
    work with --only; each takes the first GPU it sees, so give each its own: CUDA_VISIBLE_DEVICES=1 echogan study ...

    Args:
        data: EchoNet-Dynamic (folder or ZIP), HC18, other recordings, or a folder of frames; default the synthetic phantom.
        camus: CAMUS, for masks and for the two qualities; default phantoms in its layouts.
        tier: cpu = every config at its size for CPUs; gpu = at full size.
        only: architectures or configs, e.g. wgan stylegan2_ada/E4.
        patients: of the phantoms.
        kimg: thousands of real images to show to each run; default what the architecture's row says.
        seeds: of each architecture's best (by VAL) and of its published setting.
        fakes: images of the FID as it was published, against as many frames, all of them from 40,120 on; needs EchoNet-Dynamic
            itself as recordings, at tier gpu.
        precision: as of `echogan train`, of every run that is not done; one that began with another is refused by name.
        accumulate: parts of a batch computed one after the other, where memory is short; likewise.
    """
    plan = Plan(data, camus, tier, only, patients, kimg, seeds, fakes, precision, accumulate)
    check(plan)
    keep_asked(plan)
    for sentence in cautions(plan):
        print(f"echogan: {sentence}", file=sys.stderr)
    environment = {**os.environ, "ECHOGAN_EXPERIMENTS": str(plan.experiments), "ECHOGAN_RESULTS": str(plan.results)}
    failed = {}
    for part in PARTS:  # each looks at what those before it left
        failed |= take(part(plan), plan.experiments / ".study", environment, _tell)
    for name, reason in failed.items():
        print(f"echogan: {name}: {reason}", file=sys.stderr)
    trained = sum(plan.run(row, name).weights("best").is_file() for row in plan.rows for name in plan.configs(row))
    where = f"{shown(plan.experiments)}, report in {shown(plan.results)}"
    print(f"{trained} configs of {len(plan.rows)} architectures in {where}")
    if failed:
        raise BadInput(f"{len(failed)} steps failed, named above; the same command tries them again")


def check(plan):
    """A `BadInput` for a word of --only that names nothing, or data that are not there."""
    from echogan import models

    for word in plan.only:
        arch, _, config = word.partition("/")
        models.config_of(arch, config) if config else models.load(arch)
    for path in filter(None, (plan.data, plan.camus)):
        if not Path(path).exists():
            raise BadInput(f"{path} does not exist; give recordings or frames, or leave it out for the phantom")


def cautions(plan):
    """Sentences on what the study will lack, before it spends days."""
    from echogan import encoders
    from echogan.encoders import lpips

    goes_without = {
        "TEST will have no FID, KID, precision and recall without inception2015": encoders.available("inception2015"),
        "losses and TEST will have no LPIPS without alexnet and lpips_alex": lpips.available(),
        "VAL will choose by the sliced Wasserstein distance without lite0": encoders.available("lite0"),
    }
    if lacking := [what for what, found in goes_without.items() if not found]:
        yield (
            f"{', '.join(lacking)}: get these networks with `echogan weights --install all` before anything is trained, as a "
            "run goes on as it began; TEST is judged again once inception2015 is there"
        )
    if _frames_of_echonet(plan):
        yield (
            f"{plan.data} holds frames, so FID as it was published is left out, whose frames are cut otherwise; give "
            "--data the recordings of EchoNet-Dynamic, a folder or ZIP"
        )


def _frames_of_echonet(plan):
    """Whether a licence holder, who could have FID as it was published, gave frames."""
    from echogan.data.echonet import KIND

    manifest = Path(plan.data) / "manifest.json"
    asked = plan.tier == "gpu" and any(row.arch == "stylegan2_ada" for row in plan.rows)
    return bool(asked and plan.data and manifest.is_file() and read_json(manifest).get("kind") == KIND)


def _tell(step, state, seconds):
    print(f"{step.name}: {state} ({seconds:.0f} s)", file=sys.stderr, flush=True)
