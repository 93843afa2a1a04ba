"""A blinded quiz: of two pictures side by side, which was generated, and which was enhanced? Answers in a CSV, and their score.

A reader who sees no difference chooses the altered picture in half of the questions. Intervals are score
intervals at 95 % (Wilson 1927), p values those of the exact binomial test against one half.
"""

import csv
import hashlib
import io
import random
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from echogan.errors import BadInput
from echogan.files import write_text
from echogan.report import style

SIDES = ("left", "right")
GAP = 0.04  # of a picture's width, between two
GREY = 128  # of the gap: neither picture looks darker beside it


@dataclass(frozen=True)
class Task:
    """One kind of question: pairs of a plain and an altered picture, each uint8 (N, H, W)."""

    name: str
    words: str  # what the reader is asked, e.g. "Which picture is synthetic?"
    plain: np.ndarray
    altered: np.ndarray


@dataclass(frozen=True)
class Question:
    """One pair, and the side on which its altered picture stands."""

    number: int
    task: str
    pair: int
    side: str


@dataclass(frozen=True)
class Answer(Question):
    """A question with what `reader` said, and after how long."""

    answer: str
    seconds: float
    reader: str
    seed: int
    pictures: str  # fingerprint of all pictures of the quiz


def questions(tasks, seed=0):
    """Every pair of every task once, in random order; the altered picture is on the left in half of each task's pairs."""
    rng, drawn = random.Random(seed), []
    for task in tasks:
        sides = [SIDES[i % 2] for i in range(len(task.plain))]
        rng.shuffle(sides)
        drawn += [(task.name, pair, side) for pair, side in enumerate(sides)]
    rng.shuffle(drawn)
    return [Question(number, *row) for number, row in enumerate(drawn, 1)]


class Quiz:
    """One reader's quiz of `tasks`, whose answers are in the CSV `path`: opened again it goes on where it stopped.

    The seed and the pictures stay those of the file; another of either, or another reader, is a `BadInput`.
    """

    def __init__(self, tasks, path, reader, seed=0):
        self.tasks, self.path = {task.name: _checked(task) for task in tasks}, Path(path)
        self.said = {"reader": reader, "seed": seed, "pictures": _fingerprint(tasks)}
        self.questions, self.answers = questions(tasks, seed), []
        if self.path.exists():
            self.answers = read_answers(self.path)
            self._check()

    @property
    def current(self):
        """The `Question` to answer next; None when all are."""
        return self.questions[len(self.answers)] if len(self.answers) < len(self.questions) else None

    def words(self):
        """What to ask: how far the reader is, and the question."""
        if self.current is None:
            return f"All {len(self.questions)} questions are answered."
        return f"{self.current.number} of {len(self.questions)}: {self.tasks[self.current.task].words}"

    def picture(self):
        """The two pictures of the current question side by side, uint8 (H, 2 W + gap)."""
        question = self._asked()
        task = self.tasks[question.task]
        pair = [pictures[question.pair] for pictures in (task.altered, task.plain)]
        left, right = pair if question.side == "left" else pair[::-1]
        gap = np.full((len(left), max(2, round(GAP * left.shape[1]))), GREY, np.uint8)
        return np.concatenate([left, gap, right], axis=1)

    def answer(self, side, seconds=float("nan")):
        """Write down that the current question was answered with "left" or "right"."""
        if side not in SIDES:
            raise BadInput(f"the answer is left or right, not {side!r}")
        said = Answer(**asdict(self._asked()), answer=side, seconds=round(seconds, 1), **self.said)
        write_answers(self.path, [*self.answers, said])
        self.answers.append(said)

    def _asked(self) -> Question:
        if self.current is None:
            raise BadInput(f"all {len(self.questions)} questions of {self.path} are answered; score them")
        return self.current

    def _check(self):
        wanted = [asdict(question) | self.said for question in self.questions]
        for answer, right in zip(self.answers, wanted):
            wrong = [key for key, value in right.items() if getattr(answer, key) != value]
            if wrong:
                was, now = getattr(answer, wrong[-1]), right[wrong[-1]]
                raise BadInput(
                    f"{self.path} was answered with {wrong[-1]} {was}, not {now}; go on with that, or choose another file"
                )


def read_answers(path):
    """The `Answer`s in a CSV."""
    kinds = {"number": int, "pair": int, "seconds": float, "seed": int}
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows: list[dict[str, Any]] = [
                {k: kinds.get(k, str)(v) for k, v in row.items()} for row in csv.DictReader(file)
            ]
            return [Answer(**row) for row in rows]
    except (OSError, TypeError, ValueError) as error:
        raise BadInput(f"{path} holds no answers of a quiz ({error}); choose another file, or remove it") from error


def write_answers(path, answers):
    """Write `Answer`s as CSV, whole or not at all."""
    text = io.StringIO()
    rows = csv.DictWriter(text, Answer.__dataclass_fields__, lineterminator="\n")
    rows.writeheader()
    rows.writerows(map(asdict, answers))
    write_text(path, text.getvalue())


# ------------------------------------------------------------------------------------------------ the score


def score(answers):
    """How often readers chose the altered picture, one row per task: a data frame.

    chosen: share of all questions, with `low` and `high`; sensitivity: share of those with it on the left, specificity: on the
    right (together they show a reader who prefers one side); p: of as much in one half by chance.
    """
    frame = pd.DataFrame([asdict(answer) for answer in answers])
    if frame.empty:
        raise BadInput("nothing is answered yet; answer a question first")
    right = frame["answer"] == frame["side"]
    return pd.DataFrame([_row(name, right[rows.index], rows["side"]) for name, rows in frame.groupby("task")])


def share(hits, n):
    """(share, low, high) of `hits` among `n`, Wilson's interval at 95 %; NaN for n = 0."""
    if not n:
        return (float("nan"),) * 3
    ends = binomtest(int(hits), int(n)).proportion_ci(method="wilson")
    return hits / n, ends.low, ends.high


def _row(name, right, sides):
    row = {"task": name, "n": len(right), "p": binomtest(int(right.sum()), len(right)).pvalue}
    parts = {"chosen": right, "sensitivity": right[sides == "left"], "specificity": right[sides == "right"]}
    for what, of in parts.items():
        row |= dict(zip((what, f"{what}_low", f"{what}_high"), share(of.sum(), len(of))))
    return row


@style.styled
def figure(answers, title, caption):
    """The score of each task as a dot with its interval, beside the line of chance."""
    rows = score(answers).to_dict("records")
    fig = style.new(0.85 + 0.26 * len(rows), title, caption)
    ax = fig.add_subplot()
    for y, (row, look) in enumerate(zip(rows, style.looks(len(rows)))):
        ax.plot([row["chosen_low"], row["chosen_high"]], [y, y], color=look.color)
        ax.plot(row["chosen"], y, look.marker, color=look.color)
        ax.annotate(f"{row['chosen']:.0%}, p = {row['p']:.2g}", (1.02, y), va="center", annotation_clip=False)
    ax.axvline(0.5, color=style.GREY, linewidth=0.6, linestyle=(0, (2, 2)))
    ax.set_yticks(range(len(rows)), [f"{row['task']} ({row['n']})" for row in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlim(0, 1)
    ax.set_xlabel("altered picture chosen, share with 95 % interval; dashed: by chance")
    return fig


def _checked(task):
    shapes = {pictures.shape for pictures in (task.plain, task.altered)}
    kinds = {pictures.dtype for pictures in (task.plain, task.altered)}
    if len(shapes) > 1 or kinds != {np.dtype(np.uint8)} or not len(task.plain):
        told = " and ".join(f"{p.dtype} {p.shape}" for p in (task.plain, task.altered))
        raise BadInput(f"pairs of {task.name!r} are {told}; give as many of each, uint8 of one size")
    return task


def _fingerprint(tasks):
    digest = hashlib.sha256()
    for task in tasks:
        for pictures in (task.plain, task.altered):
            digest.update(f"{task.name} {pictures.shape}".encode() + np.ascontiguousarray(pictures).tobytes())
    return digest.hexdigest()[:16]
