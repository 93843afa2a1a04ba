"""Work that can stop anywhere and go on: what an extraction has done so far, beside the folder it will become.

.FRAMES.unfinished/plan.json        source, settings and versions: only an equal call goes on
.FRAMES.unfinished/1_of_4.jsonl     one line for each recording that this part has done
.FRAMES.unfinished/frames/          what becomes FRAMES, in one rename, when every recording is done

Parts of one extraction write to one such folder; whichever sees the last recording done finishes for all.
"""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from echogan.config import differences
from echogan.errors import BadInput
from echogan.files import check_new, read_json, remove_leftovers, write_json


@dataclass(frozen=True)
class Shard:
    """Part `number` (from 1) `of` so many: every of-th recording."""

    number: int = 1
    of: int = 1

    @classmethod
    def read(cls, text):
        """The shard that "2/4" means."""
        number, slash, of = str(text).partition("/")
        if not (slash and number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
            raise BadInput(f"--shard {text} is no part; write I/N with I from 1 to N, such as 2/4")
        return cls(int(number), int(of))

    def part(self, jobs):
        """The jobs of this part."""
        return jobs[self.number - 1 :: self.of]


@dataclass(frozen=True)
class Journal:
    """The unfinished extraction of the FrameSet folder `out`."""

    out: Path

    folder = property(lambda self: self.out.with_name(f".{self.out.name}.unfinished"))
    frames = property(lambda self: self.folder / "frames")

    def begin(self, plan, masks=False):
        """Make the folder (with room for masks), or go on in the one an equal call left; refuse that of another."""
        check_new(self.out)
        claimed = self.folder / "finishing"
        if claimed.is_dir():  # a call that was killed while it finished; what it wrote is written again
            remove_leftovers(claimed)
            os.replace(claimed, self.frames)
        if (self.folder / "plan.json").is_file():
            changed = differences(read_json(self.folder / "plan.json"), plan)
            if changed:
                raise BadInput(
                    f"{self.folder} holds an unfinished extraction of other settings ({changed[0]}); "
                    "finish that one, or remove the folder"
                )
        for kind in ("images", "masks")[: 1 + masks]:
            (self.frames / kind).mkdir(parents=True, exist_ok=True)
        write_json(self.folder / "plan.json", plan)

    def done(self):
        """name -> what the journals of all parts say of it; a line that was cut short does not count."""
        found = {}
        for journal in sorted(self.folder.glob("*_of_*.jsonl")):
            for line in journal.read_bytes().splitlines(keepends=True):
                if line.endswith(b"\n"):
                    entry = json.loads(line)
                    found[entry["name"]] = entry
        return found

    def writer(self, shard):
        """The journal of a part, opened for more lines."""
        path = self.folder / f"{shard.number}_of_{shard.of}.jsonl"
        if path.is_file():
            whole = path.read_bytes().rpartition(b"\n")
            os.truncate(path, len(whole[0]) + len(whole[1]))
        return open(path, "a", encoding="utf-8", newline="\n", buffering=1)

    def finish(self, write):
        """Have `write(folder)` complete the frames and move them to `out`; False where another part does it already."""
        claimed = self.folder / "finishing"
        try:
            os.replace(self.frames, claimed)
        except FileNotFoundError:
            return False
        write(claimed)
        if self.out.is_dir():
            self.out.rmdir()  # empty, as `begin` saw; whatever came since is not ours to remove
        os.replace(claimed, self.out)
        self.discard()
        return True

    def discard(self):
        """Remove what is unfinished."""
        shutil.rmtree(self.folder, ignore_errors=True)
