"""The command line: parse, call, print. Every command is one call of the package and prints one line.

Exit codes: 0 done, 1 failed with one sentence, 2 wrong usage. One module per group of commands; importing it registers them.
"""

import os
import sys

import tyro

from echogan.cli.app import COMMANDS, app
from echogan.errors import BadInput, nearest

# One line of the help's order each: recordings, training, judging, what for, reading and first steps.
# fmt: off
from echogan.cli import phantom, data, camus, export
from echogan.cli import train, reconstruct, synthesize, showcase, sweep, official
from echogan.cli import judge, audit, latent, downstream
from echogan.cli import enhance, trust
from echogan.cli import report, study, start
# fmt: on

# What goes on from what it keeps, where it was interrupted.
GOES_ON = ("train", "sweep", "study", "demo", "extract", "segmenter", "downstream", "official train")
SUMMARY = "Generate and enhance echocardiograms with GANs. Research use only, not for diagnosis."


def main(argv=None):
    """Run one command; returns its exit code."""
    words = sys.argv[1:] if argv is None else argv
    word = words[:1]
    if word and not word[0].startswith("-") and word[0] not in COMMANDS:  # tyro would answer --help of anything
        print(f"echogan: there is no command {word[0]!r}{nearest(word[0], COMMANDS)}", file=sys.stderr)
        return 2
    try:
        app.cli(prog="echogan", description=SUMMARY, args=argv, config=(tyro.conf.OmitArgPrefixes,))
    except BadInput as error:
        print(f"echogan: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"echogan: interrupted; {after_interrupt(words)}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # `echogan inspect ... | head` has seen enough; the shutdown's own flush must not complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except SystemExit as end:  # tyro: 0 after --help, 2 after wrong usage; doctor: 1
        return end.code or 0
    return 0


def after_interrupt(words):
    """What the same command would do now."""
    if {" ".join(words[:1]), " ".join(words[:2])} & set(GOES_ON):
        return "the same command goes on from what it has kept"
    if words[:1] == ["enhance"]:
        return "what is written is whole, and of a folder the same command makes the rest"
    return "nothing half written is left, so the same command may be given again"


def program():
    """The `echogan` command: started again with what a CPU run wants of its environment, then `main`."""
    if sys.argv[1:2] in (["train"], ["demo"]) and not {"-h", "--help"} & set(sys.argv):
        from echogan.engine.launch import restart_for_cpu

        restart_for_cpu(sys.argv)
    sys.exit(main())
