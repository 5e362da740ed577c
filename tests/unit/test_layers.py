"""The architecture, held to by tests: what may import what, and what an import costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "revector"

# Rooms, lowest first; a room may import those of lower levels and its own.
LEVELS = [
    {"_core"},
    {
        "errors",
        "_arguments",
        "_arrays",
        "_behind",
        "_display",
        "_files",
        "_forks",
        "_optional",
        "_secrets",
        "_toml",
        "spaces",
        "similarity",
        "threads",
        "mapping",
        "index",
        "fusion",
        "rollout",
    },
    {"encoders", "rerank", "formats", "ledger"},
    {"backends"},
    {"testing"},
    {"migration", "evaluation", "planning"},
    {"search"},
    {"report"},
    {"collection", "opening", "exporting", "importing", "moving"},
    {"metrics", "integrations", "distributed"},
    {"gateway"},
    {"demo", "cli", "__main__"},
]
FACES = {"__init__", "similarity", "mapping", "index", "threads", "encoders", "rerank"}


def modules():
    return sorted(p for p in SOURCE.rglob("*.py") if "__pycache__" not in p.parts)


def room(path):
    first = path.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


def level(name):
    return next(i for i, rooms in enumerate(LEVELS) if name in rooms)


def imported_rooms(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = (
                [f"{node.module}.{alias.name}" for alias in node.names] if node.module == "revector" else [node.module]
            )
        else:
            continue
        yield from (name.split(".")[1] for name in names if name and name.startswith("revector."))


def test_every_module_has_a_room():
    for path in modules():
        if room(path) != "__init__":
            level(room(path))


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_lead_downwards(path):
    own = room(path)
    if own == "__init__":
        return
    above = {
        name
        for name in imported_rooms(path)
        if name != "errors" and not name.startswith("__") and level(name) > level(own)
    }
    assert not above, f"{own} imports {above} from above itself"


def test_only_the_command_that_shows_the_demo_needs_it():
    users = {path for path in modules() if "demo" in set(imported_rooms(path)) and room(path) != "demo"}
    assert users == {SOURCE / "cli" / "demo.py", SOURCE / "cli" / "story.py"}


def test_nothing_that_is_used_needs_what_is_for_tests():
    assert not [path for path in modules() if "testing" in set(imported_rooms(path)) and room(path) != "testing"]


def imported_modules(path):
    """The modules of the package that a file imports when it is loaded; what functions import is not among them."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("revector."):
            for alias in node.names:  # a submodule, or what a module or the `__init__` of a package defines
                names = (f"{node.module}.{alias.name}", node.module)
                places = [SOURCE.joinpath(*name.split(".")[1:]) for name in names]
                files = [file for place in places for file in (place.with_suffix(".py"), place / "__init__.py")]
                yield from [file for file in files if file.exists()][:1]  # a name of the core has none


def test_no_module_needs_itself():
    """Neither at once nor by way of others: what is read first needs nothing of what is read later."""
    needs = {path: set(imported_modules(path)) - {path} for path in modules()}
    while free := {path for path, needed in needs.items() if not needed & needs.keys()}:
        needs = {path: needed for path, needed in needs.items() if path not in free}
    while users := {path for path in needs if not any(path in needed for needed in needs.values())}:  # of a circle only
        needs = {path: needed for path, needed in needs.items() if path not in users}
    assert not needs, f"a circle among {sorted(str(path.relative_to(SOURCE)) for path in needs)}"


# Inside rooms: what a module may know of its own room and of those below; `*` stands for everything in a folder.
FORBIDDEN = {
    "migration/strategies/*": {"revector.backends.sqlite", "revector.backends.local_index", "Backend", "Ledger"},
    "migration/serving.py": {"revector.migration.writes", "revector.migration.landing", "revector.migration.filling"},
    "migration/landing.py": {"revector.migration.serving", "revector.migration.writes", "revector.migration.filling"},
    "migration/filling/unit.py": {"revector.backends", "revector.ledger", "threading", "time"},
    "migration/writes.py": {"revector.migration.filling", "revector.search"},
    "search/*": {"revector.ledger", "revector.backends.sqlite", "revector.backends.local_index"},
    "migration/*": {"revector.backends.sqlite", "revector.backends.local_index"},
    "planning/*": {"revector.backends.sqlite", "revector.backends.local_index"},
    "evaluation/*": {"revector.backends.sqlite", "revector.backends.local_index", "revector.ledger"},
    "backends/contracts/*": {"revector.backends.sqlite", "revector.backends.local_index", "revector.migration"},
    "ledger/*": {"revector.backends"},
    "gateway/*": {"revector.backends.sqlite", "revector.ledger", "revector.migration", "revector.search"},
    "testing/encoders.py": {"revector.backends", "revector.ledger"},
    "testing/memory/*": {
        "revector.backends.local_index",
        "revector.backends.sqlite.backend",
        "revector.backends.sqlite.documents",
        "revector.backends.sqlite.generations",
        "revector.backends.sqlite.vectors",
    },
}


@pytest.mark.parametrize("pattern", FORBIDDEN)
def test_rooms_know_no_more_than_they_need(pattern):
    paths = [path for path in modules() if path.relative_to(SOURCE).match(pattern)]
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, (ast.Import, ast.ImportFrom)) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            wrong = {n for n in names for f in FORBIDDEN[pattern] if n == f or n.startswith(f"{f}.")}
            assert not wrong, f"{path.relative_to(SOURCE)} imports {wrong}"


def test_only_the_faces_touch_the_core():
    users = {room(path) for path in modules() if "_core" in set(imported_rooms(path))}
    assert users <= FACES


def test_importing_the_package_loads_numpy_and_the_core_alone():
    code = (
        "import sys, numpy; before = set(sys.modules); import revector; "
        "print(*sorted({m.split('.')[0] for m in set(sys.modules) - before}))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    third_party = set(run.stdout.split()) - set(sys.stdlib_module_names) - {"numpy", "revector"}
    assert not third_party


@pytest.mark.parametrize("folder", ["cli", "demo"])
def test_only_the_printer_prints(folder):
    """Whatever is shown passes through `revector.cli.printing`, where data is not taken for markup."""
    for path in (SOURCE / folder).rglob("*.py"):
        if path.name != "printing.py":
            nodes = list(ast.walk(ast.parse(path.read_text())))
            named = {node.id for node in nodes if isinstance(node, ast.Name)}
            named |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
            named |= {alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}
            assert not named & {"print", "echo", "secho", "Console", "Text", "from_markup", "stdout"}, path
