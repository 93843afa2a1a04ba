"""The shape of EchoNet-Dynamic, cut to what a test takes: memory does not follow the number of recordings."""

import os
import subprocess
import sys

import pytest

from echogan.data.echonet import FILE_LIST, TRACINGS
from tests.data.studies import ED, ES, SPLITS, beating, file_row, trace_rows, write_avi, write_csv

FULL = 10_030  # videos of EchoNet-Dynamic
LIMIT = 2_000  # MB that all of it may take

PEAK = """
import resource, sys
from echogan.preprocessing.extract import extract
if __name__ == "__main__":
    extract(sys.argv[1], sys.argv[2], size=64, workers=2)
    own = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))  # ru_maxrss remembers the parent's
    print((int(own.split()[1]) + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024)
"""


def study(root, videos):
    """Traced videos, of which only five differ, under as many names as asked for."""
    names = [f"V{i:05d}" for i in range(videos)]
    for i, name in enumerate(names):
        if i < 5:
            write_avi(root / "Videos" / f"{name}.avi", beating(24, seed=i))
        else:
            os.link(root / "Videos" / f"{names[i % 5]}.avi", root / "Videos" / f"{name}.avi")
    write_csv(root / "FileList.csv", FILE_LIST, [file_row(n, SPLITS[i % 5], 24) for i, n in enumerate(names)])
    write_csv(root / "VolumeTracings.csv", TRACINGS, [row for n in names for row in trace_rows(n, ES, ED)])
    return root


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_all_of_echonet_dynamic_would_stay_below_2_gb(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(PEAK)
    peak = {}
    for videos in (200, 1200):
        command = [sys.executable, script, study(tmp_path / f"{videos}", videos), tmp_path / f"out{videos}"]
        peak[videos] = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    a_video = max(0, peak[1200] - peak[200]) / 1000
    assert peak[200] + a_video * FULL < LIMIT, peak
