"""What pages, notebooks and error messages tell a reader to type or to open exists: commands, options, targets, links."""

import ast
import functools
import importlib
import inspect
import re
import shlex
from pathlib import Path

import nbformat
import pytest
import tyro

from echogan.cli.app import COMMANDS, app

ROOT = Path(__file__).parents[1]
FOLDERS = ("", "assets", "benchmarks", "colab", "external", "publications", "results")
PAGES = [page for folder in FOLDERS for page in sorted((ROOT / folder).glob("*.md"))]
NOTEBOOKS = [
    path for folder in ("training", "colab/source", "results") for path in sorted((ROOT / folder).glob("*.ipynb"))
]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
PLACEHOLDER = re.compile(r"^[A-Z_]+$|[<>{}…]|^\.\.\.$")  # FRAMES, <arch>, {name}: words that stand for the reader's own

every_text = pytest.mark.parametrize("path", [*PAGES, *NOTEBOOKS], ids=lambda path: path.relative_to(ROOT).as_posix())


def text_of(path):
    """The words of a page; the Markdown of a notebook."""
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf-8")
    return "\n\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown")


def fences(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def typed(text):
    """The commands of all shell blocks, one list of words each; continued lines are one."""
    for block in fences(text, "(?:bash|sh|console)"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            while words:
                end = next((i for i, word in enumerate(words) if word in ("&&", "|", ";")), len(words))
                yield words[:end]
                words = words[end + 1 :]


def mentioned(text):
    """The `echogan ...` and `make ...` of running text, as words."""
    for command in re.findall(
        r"`((?:echogan|make)\s[a-z][^`]{,120})`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    ):
        yield command.split()


def commands(words):
    """The words behind `echogan` of a shell command, None where it runs something else."""
    if "echogan.cli" in words:
        return words[words.index("echogan.cli") + 1 :]
    return words[words.index("echogan") + 1 :] if "echogan" in words else None


def function_of(words):
    """(the function that a command runs, what is left of its words)."""
    group, words = app, list(words)
    while isinstance(group, tyro.extras.SubcommandApp) and words:
        name, known = words.pop(0), group._subcommands
        assert name in known, f"no command {name!r} in {', '.join(known)}"
        group = getattr(known[name], "target", known[name])
    return group, words


def parse(words):
    """Parse as the command line does, without running anything; SystemExit where it would refuse."""
    function, rest = function_of(words)
    assert inspect.isfunction(function), "a group of commands needs one of them"
    idle = functools.wraps(function)(lambda *args, **kwargs: None)
    tyro.cli(idle, args=rest, config=(tyro.conf.OmitArgPrefixes,))


def targets():
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


# ------------------------------------------------------------------------------------------------ commands


@every_text
def test_shell_blocks_can_be_typed(path, capsys):
    for words in typed(text_of(path)):
        if (rest := commands(words)) is not None:
            try:
                parse(["0" if "{" in word and "}" not in word else word for word in rest])
            except SystemExit:
                pytest.fail(f"{shlex.join(words)}: {capsys.readouterr().err}")
        elif words[0] == "make":
            assert words[1] in targets(), words
        elif words[0] == "python":
            assert (ROOT / words[1]).is_file(), words
        else:
            assert words[0] in ("uv", "git", "export", "source"), f"is {words[0]} something a reader has?"


@pytest.mark.parametrize("path", [*PAGES, *NOTEBOOKS, *SOURCES], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_in_running_text_exist_with_their_options(path):
    for words in mentioned(text_of(path)):
        if words[0] == "make":
            assert words[1] in targets(), words
        elif not PLACEHOLDER.search(words[1]):
            function, rest = function_of([word for word in words[1:] if not PLACEHOLDER.search(word)])
            of = inspect.signature(function).parameters if inspect.isfunction(function) else ()  # a group has none
            known = {f"--{name.strip('_').replace('_', '-')}" for name in of}
            given = {word.partition("=")[0] for word in rest if word.startswith("--")}
            assert given <= known, f"{' '.join(words)}: no {given - known} in {sorted(known)}"


def test_the_checks_see_what_is_wrong(capsys):
    parse("train wgan gp --data FRAMES --kimg 3".split())
    for wrong in ("train wgan gp --data FRAMES --kgim 3", "train wgan", "latent directions"):
        with pytest.raises(SystemExit):
            parse(wrong.split())
    for wrong in ("trian wgan", "latent turn", "latent"):
        with pytest.raises(AssertionError, match=r"no command|needs one of them"):
            parse(wrong.split())
    assert list(typed("```bash\necho a \\\n  b  # c\nmake x && make y\n```\n")) == [
        ["echo", "a", "b"],
        ["make", "x"],
        ["make", "y"],
    ]
    capsys.readouterr()


def test_the_readme_shows_every_command():
    """Once at least, in a block or in the text: whoever reads the page knows what there is."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = [commands(words) for words in typed(text)] + [
        words[1:] for words in mentioned(text) if words[0] == "echogan"
    ]
    assert set(COMMANDS) - {line[0] for line in lines if line} - {"demo", "preview", "domains"} == set()


# ------------------------------------------------------------------------------------------------ links and snippets


def anchors(path):
    """The headings of a page as GitHub links to them."""
    heads = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text_of(path), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@every_text
def test_links_lead_to_files_and_headings(path):
    for link in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", text_of(path)):
        file, _, anchor = link.partition("#")
        target = path.parent / file if file else path
        assert target.exists(), f"{link} in {path.name}"
        assert not anchor or anchor in anchors(target), f"#{anchor} in {path.name}"


@every_text
def test_python_snippets_compile_and_what_they_import_exists(path):
    for block in fences(text_of(path), "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "echogan":
                module = importlib.import_module(node.module)
                assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == [], block


def test_the_map_of_folders_is_true():
    """Every folder and file that the README's table "Where things are" names, up to its placeholders."""
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Where things are")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    named = [name.partition("<")[0] for row in rows for name in re.findall(r"`([^`]+)`", row)]
    assert len(named) > 6 and [name for name in named if not (ROOT / name).exists()] == []
