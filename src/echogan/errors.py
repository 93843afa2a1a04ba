"""What goes wrong through no fault of ours, said in one sentence."""

import difflib
from math import isfinite
from numbers import Real

LONG = 200  # characters of what another library says


class BadInput(Exception):
    """Something handed to EchoGAN cannot be used; the message names it and the remedy in one sentence."""

    def _render_traceback_(self):
        return [f"echogan: {self}"]  # what IPython shows in a notebook instead of the stack


class CannotWrite(BadInput):
    """A disk that is full, write-protected or gone; what was kept so far is whole."""


def in_one_sentence(program):
    """Run a program whose last word, where it cannot go on through no fault of ours, is one sentence; it exits with 1 then."""
    try:
        program()
    except BadInput as error:
        raise SystemExit(str(error)) from error


def first_line(error):
    """What an exception says in its first line, which may quote a whole file, or its name where it says nothing."""
    line = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return line if len(line) <= LONG else f"{line[:LONG]} ..."


def one_of(value, known, what):
    """`value`, where it is one of `known`."""
    if value not in known:
        raise BadInput(f"there is no {what} {value!r}{nearest(value, known)}")
    return value


def finite(value, what) -> float:
    """`value`, where it is a number, neither infinite nor NaN."""
    if not (isinstance(value, Real) and isfinite(value)):
        raise BadInput(f"{what} is a number such as 0.7, got {value!r}")
    return float(value)


def at_least(least, **counts):
    """A `BadInput` that names the first of several counts that is below `least`."""
    for name, count in counts.items():
        if not count >= least:
            raise BadInput(f"{name} must be {least:g} or more, got {count:g}")


def nearest(word, known):
    """`; did you mean 'x'?` for the closest of `known`, or the list of them."""
    known = sorted(map(str, known))
    match = difflib.get_close_matches(str(word), known, n=1, cutoff=0.4)
    return f"; did you mean {match[0]!r}?" if match else f"; choose from {', '.join(known)}"
