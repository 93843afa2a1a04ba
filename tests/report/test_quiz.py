"""The blinded quiz: what is asked, what is kept of an answer, and what a score means."""

import sys
from math import sqrt
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch

from echogan import notebook
from echogan.data.frames import save_index
from echogan.data.images import write_png
from echogan.engine.checkpoint import export
from echogan.errors import BadInput
from echogan.models import cyclegan, wgan
from echogan.report import quiz as quizzes
from echogan.report.quiz import Quiz, Task, questions, read_answers, score, share
from echogan.report.style import png
from tests.conftest import framed

RNG = np.random.default_rng(0)


def task(name="synthetic", n=10, size=8):
    plain = RNG.integers(0, 100, (n, size, size), dtype=np.uint8)
    return Task(name, f"Which picture is {name}?", plain, plain + 100)


TASKS = [task(), task("enhanced", 6)]


@pytest.fixture
def quiz(tmp_path):
    return Quiz(TASKS, tmp_path / "answers.csv", "reader A", seed=3)


def answer_all(quiz, how):
    while quiz.current is not None:
        quiz.answer(how(quiz), 1.0)
    return quiz


def brighter(quiz):
    """The side of the brighter picture: every altered one is."""
    middle = quiz.picture().shape[1] // 2
    left, right = quiz.picture()[:, :middle].mean(), quiz.picture()[:, middle:].mean()
    return "left" if left > right else "right"


def test_every_pair_is_asked_once_in_an_order_and_on_sides_of_the_seed():
    asked = questions(TASKS, 0)
    assert sorted((q.task, q.pair) for q in asked) == sorted((t.name, i) for t in TASKS for i in range(len(t.plain)))
    assert [q.number for q in asked] == list(range(1, 17))
    for name, n in (("synthetic", 10), ("enhanced", 6)):
        assert sum(q.side == "left" for q in asked if q.task == name) == n // 2
    assert questions(TASKS, 0) == asked != questions(TASKS, 1)
    assert [q.task for q in asked] != sorted(q.task for q in asked)


def test_the_altered_picture_stands_on_its_side(quiz):
    while quiz.current is not None:
        question, whole = quiz.current, quiz.picture()
        altered = next(t for t in TASKS if t.name == question.task).altered[question.pair]
        place = np.s_[:, :8] if question.side == "left" else np.s_[:, -8:]
        assert whole.shape == (8, 18) and np.array_equal(whole[place], altered)
        quiz.answer(question.side)


def test_a_quiz_that_was_left_goes_on_where_it_stopped(quiz, tmp_path):
    for _ in range(5):
        quiz.answer("left", 2.34)
    again = Quiz(TASKS, quiz.path, "reader A", seed=3)
    assert again.current.number == 6 and again.current == quiz.current
    assert np.array_equal(again.picture(), quiz.picture()) and again.answers == quiz.answers
    assert again.answers[0].seconds == 2.3 and [p.name for p in tmp_path.iterdir()] == ["answers.csv"]
    answer_all(again, lambda quiz: "right")
    with pytest.raises(BadInput, match="all 16 questions"):
        again.answer("left")
    assert "All 16" in again.words() and len(read_answers(quiz.path)) == 16


@pytest.mark.parametrize(
    "other, word",
    [
        ({"seed": 4}, "seed 3, not 4"),
        ({"reader": "reader B"}, "reader reader A, not reader B"),
        ({"tasks": [task(n=10), TASKS[1]]}, "pictures"),
    ],
)
def test_another_seed_reader_or_pictures_does_not_mix_with_what_was_answered(quiz, other, word):
    quiz.answer("left")
    with pytest.raises(BadInput, match=word):
        Quiz(**{"tasks": TASKS, "path": quiz.path, "reader": "reader A", "seed": 3} | other)


def test_what_is_no_answer_no_file_and_no_pair_is_refused(quiz, tmp_path):
    with pytest.raises(BadInput, match="left or right"):
        quiz.answer("both")
    assert not quiz.path.exists()
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(BadInput, match="holds no answers"):
        Quiz(TASKS, tmp_path / "other.csv", "reader A")
    uneven = Task("x", "?", TASKS[0].plain, TASKS[0].altered[:3])
    with pytest.raises(BadInput, match="as many of each"):
        Quiz([uneven], tmp_path / "new.csv", "reader A")
    with pytest.raises(BadInput, match="nothing is answered"):
        score([])


def test_who_sees_the_difference_scores_1_and_who_always_says_left_half(quiz, tmp_path):
    seen = score(answer_all(quiz, brighter).answers).set_index("task")
    assert (seen[["chosen", "sensitivity", "specificity"]] == 1).all().all()
    assert seen.loc["synthetic", "p"] == pytest.approx(2 * 0.5**10) and seen.loc["synthetic", "n"] == 10
    lazy = Quiz(TASKS, tmp_path / "lazy.csv", "reader B")
    found = score(answer_all(lazy, lambda quiz: "left").answers).set_index("task")
    assert found.loc["synthetic", ["chosen", "sensitivity", "specificity", "p"]].tolist() == [0.5, 1, 0, 1]


@pytest.mark.parametrize("hits, n", [(0, 10), (7, 10), (81, 263), (20, 20)])
def test_the_interval_is_wilsons(hits, n):
    z, p = 1.959964, hits / n
    middle, half = (p + z**2 / (2 * n)) / (1 + z**2 / n), z * sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    assert share(hits, n) == pytest.approx((p, max(0, middle - half), min(1, middle + half)), abs=1e-6)
    assert np.isnan(share(0, 0)).all()


def test_the_figure_of_a_score(quiz):
    answers = answer_all(quiz, brighter).answers
    assert png(quizzes.figure(answers, "Reader A", "Pictures: noise."))[:4] == b"\x89PNG"


# ------------------------------------------------------------------------------------------------ in the notebook


def shown_by(quiz, monkeypatch):
    shown = []
    monkeypatch.setattr(notebook, "display", shown.append)
    notebook.ask(quiz)
    return shown


def test_the_buttons_answer_and_turn_the_page(quiz, monkeypatch):
    pytest.importorskip("ipywidgets")
    (box,) = shown_by(quiz, monkeypatch)
    words, picture, buttons = box.children
    for number in range(1, 17):
        assert f"{number} of 16" in words.value and not buttons.children[0].disabled
        before = bytes(picture.value)
        buttons.children[number % 2].click()
    assert "All 16" in words.value and all(button.disabled for button in buttons.children)
    assert bytes(picture.value) == before and [a.answer for a in quiz.answers[:2]] == ["right", "left"]


def test_a_disk_that_is_full_is_said_and_the_question_stays(quiz, monkeypatch):
    pytest.importorskip("ipywidgets")
    (box,) = shown_by(quiz, monkeypatch)

    def full(path, answers):
        raise BadInput("cannot write answers.csv: No space left on device")

    monkeypatch.setattr(quizzes, "write_answers", full)
    box.children[2].children[0].click()
    assert "No space" in box.children[0].value and quiz.current.number == 1


def test_without_widgets_the_next_question_is_a_still_with_a_hint(quiz, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    words, still = shown_by(quiz, monkeypatch)
    assert "1 of 16" in repr(words) and 'quiz.answer("left")' in repr(words) and still.format == "png"
    answer_all(quiz, brighter)
    assert len(shown_by(quiz, monkeypatch)) == 1


def weights(path, module, name):
    """A small untrained model as a .safetensors file."""
    torch.manual_seed(0)
    model = module.build(module.CONFIGS[name].tiny())
    export(path, model, {"arch": module.__name__.split(".")[-1], "name": name, "kimg": "1", "data": "test blobs"})
    return str(path)


QUIZ = Path(__file__).parents[2] / "results" / "Blinded_Quiz.ipynb"


@pytest.fixture
def parameters(tmp_path):
    """What a reader would write into the second cell, with small networks and frames of two domains."""
    frames = framed(2, 2, 36)
    frames.index["domain"] = ["A", "B"] * 20
    for name, image in zip(frames.index["file"], frames.images):
        write_png(tmp_path / "frames" / "images" / name, image)
    save_index(tmp_path / "frames", frames.index, frames.manifest)
    runs = {name: weights(tmp_path / f"{name}.safetensors", module, config)
            for name, module, config in (("generator", wgan, "gp"), ("enhancer", cyclegan, "plain"))}  # fmt: skip
    said = {"frames": str(tmp_path / "frames"), **runs, "pairs": 6, "answers": str(tmp_path / "answers.csv")}
    return {**said, "reader": "reader 1", "seed": 1}


def test_the_notebook_asks_and_scores(parameters, monkeypatch):
    widgets = pytest.importorskip("ipywidgets")
    shown, scope = [], {}
    monkeypatch.setattr(notebook, "display", shown.append)
    _, made, asked, scored = (c.source for c in nbformat.read(QUIZ, 4).cells if c.cell_type == "code")
    scope.update(parameters)
    for cell in (made, asked):
        exec(cell, scope)
    assert isinstance(shown[0], widgets.VBox) and "1 of 18" in shown[0].children[0].value
    for _ in range(18):
        shown[0].children[2].children[0].click()
    exec(scored, scope)
    assert len(shown) == 2 and len(read_answers(parameters["answers"])) == 18
    assert set(score(scope["quiz"].answers)["chosen"]) == {0.5}  # always left


def test_recorded_pictures_are_of_both_domains_and_in_no_other_task(parameters):
    made = next(c.source for c in nbformat.read(QUIZ, 4).cells if "prepare_unpaired" in c.source)
    scope = dict(parameters)
    exec(made, scope)
    test, places = scope["test"], {}
    for task in scope["tasks"]:
        places[task.name] = [int(np.flatnonzero((test.images == one).all((1, 2)))[0]) for one in task.plain]
    assert set(test.index["domain"][places["synthetic"]]) == {"A", "B"}
    assert set(test.index["domain"][places["enhanced"] + places["preferred"]]) == {"A"}
    assert len({place for task in places.values() for place in task}) == 18


def test_what_the_notebook_names_is_made_by_the_commands_beside_it_and_its_absence_is_said(tmp_path, monkeypatch):
    cells, scope = nbformat.read(QUIZ, 4).cells, {}
    exec(next(c.source for c in cells if c.cell_type == "code"), scope)
    commands = next(c.source for c in cells if "    echogan" in c.source)
    assert f" {scope['frames']} " in commands
    for run in ("generator", "enhancer"):
        assert f"echogan train {scope[run].replace('/', ' ')} --data {scope['frames']} " in commands
    monkeypatch.chdir(tmp_path)
    made = next(c.source for c in cells if "prepare_unpaired" in c.source)
    with pytest.raises(BadInput, match=r"quality_frames or .*quality_frames does not exist; use .* a folder of frames"):
        exec(made, {**scope, "frames": "nowhere/quality_frames"})
