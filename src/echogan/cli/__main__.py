"""`python -m echogan.cli`."""

from echogan.cli import program

program()
