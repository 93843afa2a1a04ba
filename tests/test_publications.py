"""The bibliography has what the code cites, and the table of reported numbers names sources and settings that exist."""

import re
import unicodedata
from pathlib import Path

import pandas as pd
import pytest

from echogan import models

ROOT = Path(__file__).parents[1]
BIB = (ROOT / "publications" / "references.bib").read_text(encoding="utf-8")
ENTRIES = dict(re.findall(r"^@\w+\{([\w-]+),\n(.*?)^\}", BIB, re.S | re.M))
CITED = re.compile(r"\b([A-Z][\w'-]+)(?: and [A-Z]\w+| and others| et al\.?)?,? \(?((?:19|20)\d\d)\b")
NO_PAPERS = {
    "JPEG 2000",
    "EACVI 2015",
    "TensorFlow 2015",
    "MICCAI 2018",
    "Inception 2015",
    "ICCV 2017",
    "ESC 2021",
    "SIPAIM 2025",
}


def plain(text):
    """Letters without their accents, in BibTeX or Unicode; { } dropped."""
    text = re.sub(r"\\[lO]\b|\{\\([lO])\}", lambda m: {"l": "l", "O": "O"}[m[0].strip("{}\\")], text)
    text = re.sub(r"\\['`\"^~c]|\\aa|[{}\\]", lambda m: "a" if m[0] == r"\aa" else "", text)
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def first_authors():
    """{(surname, year)} of all entries; the surname's last word: "Heuvel" of "van den Heuvel"."""
    found = set()
    for body in ENTRIES.values():
        author = plain(re.search(r"author\s*= \{(.*)\}", body)[1]).split(" and ")[0].split(",")[0]
        found.add((author.split()[-1], re.search(r"year\s*= \{(.*)\}", body)[1]))
    return found


def test_every_source_that_the_code_cites_is_in_the_bibliography():
    cited = set()
    for path in (ROOT / "src").rglob("*.py"):
        for name, year in CITED.findall(path.read_text(encoding="utf-8")):
            if f"{name} {year}" not in NO_PAPERS:
                cited.add((plain(name), year))
    assert len(cited) > 60 and sorted(cited - first_authors()) == []


@pytest.mark.parametrize("key", ENTRIES)
def test_every_entry_is_whole(key):
    body = ENTRIES[key]
    assert {"author", "title", "year"} <= set(re.findall(r"^  (\w+) +=", body, re.M))
    assert body.count("{") == body.count("}") and not re.search(r"[^\x00-\x7f]", body), "BibTeX wants ASCII"


def test_no_key_or_title_stands_twice():
    keys, titles = re.findall(r"^@\w+\{([\w-]+),", BIB, re.M), re.findall(r"^  title\s*= \{(.*)\}", BIB, re.M)
    assert len(keys) == len(set(keys)) == len(ENTRIES)
    both = {"Comparative Study of Methods for Generating Echocardiographic Images"}  # conference paper and preprint
    assert {title for title in titles if titles.count(title) > 1} == both


def test_reported_numbers_name_a_source_and_a_published_setting():
    rows = pd.read_csv(ROOT / "publications" / "reported.csv", keep_default_na=False)
    assert set(rows["source"]) <= ENTRIES.keys()
    for row in rows.itertuples():
        assert models.config_of(row.arch, row.config).published, (row.arch, row.config)
        assert float(row.value) > 0 and row.of
    assert not rows.duplicated(["source", "arch", "config", "metric"]).any()
