"""The pages of docs/, held to by tests: lines that can be read, links and names that lead somewhere, plain English."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GENERATED = {"model-folders.md"}
PAGES = sorted(path for path in (ROOT / "docs").glob("*.md") if path.name not in GENERATED)
LINKING = [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
SUFFIXES = "py pyx pxd pyi hpp cpp cu inl h cmake json md toml yml"

LONGEST_LINE = 120
FILE = re.compile(rf"`([\w.-]+/[\w./-]+\.(?:{'|'.join(SUFFIXES.split())}))`")
MODULE = re.compile(r"`(revector(?!\.toml`)(?:\.[a-z_]\w*)+)`")
TRANSLATED = {
    r"\bcan not\b": "cannot",
    r"(?<!there )\b(?:is|are) no (?!longer)": "is not a …",
    r"\bsome \d": "about",
    r"(?:^|[.:] )Of ": "a sentence that does not open with a dangling 'Of'",
}

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
each_linking_page = pytest.mark.parametrize("page", LINKING, ids=lambda path: path.name)


def prose(page):
    """Return the numbered lines of a page that are neither code nor a table."""
    fenced = False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        fence = line.lstrip().startswith("```")
        fenced ^= fence
        if not (fenced or fence or line.startswith("|")):
            yield number, line


def anchors(page):
    """Return what headings can be linked by, as GitHub names them."""
    titles = [line.lstrip("#").strip() for _, line in prose(page) if line.startswith("#")]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@each_page
def test_lines_of_prose_are_not_too_long(page):
    assert [(number, len(line)) for number, line in prose(page) if len(line) > LONGEST_LINE] == []


@each_linking_page
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    for link in (link for link in links if "://" not in link):
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), f"{page.name} links {link}"
        assert not anchor or anchor in anchors(target), f"{page.name} links {link}, which has no such heading"


@each_linking_page
def test_files_that_are_named_exist(page):
    named = set(FILE.findall(page.read_text(encoding="utf-8")))
    roots = (ROOT, ROOT / "cpp" / "include")
    assert [name for name in sorted(named) if not any((root / name).exists() for root in roots)] == []


@each_page
def test_modules_that_are_named_exist(page):
    named = set(MODULE.findall(page.read_text(encoding="utf-8")))
    assert [name for name in sorted(named) if not is_there(name)] == []


def is_there(name):
    """Tell whether a dotted name is a module, or something that a module has."""
    package, _, last = name.rpartition(".")
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # its parent is not a package
        return hasattr(__import__(package, fromlist=[last]), last)


@each_page
@pytest.mark.parametrize("words", TRANSLATED)
def test_english_is_not_translated(page, words):
    found = [line for _, line in prose(page) if re.search(words, line)]
    assert found == [], f"say: {TRANSLATED[words]}"
