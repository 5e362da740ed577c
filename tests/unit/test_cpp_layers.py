"""The architecture of the native core, held to by tests: what may include what, and what kernels do without."""

import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

CPP = Path(__file__).parents[2] / "cpp"

# What a layer may include beside its own files; "revector" are the public headers.
BELOW = {
    "revector": set(),
    "kernels": {"revector"},
    "core": {"revector", "kernels"},
    "capi": {"revector"},
    "bindings": {"revector"},
    "cuda": set(),
}
# The subjects of the core, and which others they may include. All may include what lies in core/ itself, and that none.
SUBJECTS = {
    "encoder": set(),
    "hnsw": {"similarity"},
    "procrustes": set(),
    "similarity": set(),
    "tokenization": set(),
}
EXCEPTIONS = {
    ("core/cuda_plugin.hpp", "cuda/plugin.hpp"): "the table of functions by which the plugin is called",
    ("cuda/similarity.cu", "core/topk.hpp"): "both devices keep to one order of results",
}
# The plain C part of the standard library, and what the processor and Linux give.
KERNEL_HEADERS = {"cstddef", "cstdint", "immintrin.h", "cpuid.h", "sys/syscall.h", "unistd.h"}
KERNEL_NAMES = {"size_t", "int8_t", "int16_t", "int32_t", "uint8_t", "uint16_t", "uint32_t", "uint64_t"}


def sources():
    """Every file of the layers, by the path under which others include it."""
    roots = {layer: CPP / "include" / layer if layer == "revector" else CPP / layer for layer in BELOW}
    return {
        f"{layer}/{path.relative_to(root).as_posix()}": path.read_text(encoding="utf-8")
        for layer, root in roots.items()
        for path in sorted(root.rglob("*"))
        if path.suffix in {".h", ".hpp", ".inl", ".cpp", ".cu", ".cuh"}
    }


SOURCES = sources()
KERNELS = [name for name in SOURCES if name.startswith("kernels/")]


def included(name):
    """What a file includes of our own."""
    found = re.findall(r'^ *# *include *["<]([^">]+)[">]', SOURCES[name], flags=re.MULTILINE)
    return [other for other in found if layer(other) in BELOW]


def layer(name):
    return name.split("/")[0]


def subject(name):
    """The subject of the core that a file belongs to; None: none."""
    parts = name.split("/")
    return parts[1] if parts[0] == "core" and len(parts) > 2 else None


def leads_down(name, other):
    if (name, other) in EXCEPTIONS or layer(other) in BELOW[layer(name)]:
        return True
    return layer(other) == layer(name) and subject(other) in {None, subject(name), *SUBJECTS.get(subject(name), set())}


def test_includes_lead_downwards():
    assert [
        f"{name} includes {other}" for name in SOURCES for other in included(name) if not leads_down(name, other)
    ] == []


def test_an_include_names_its_file_from_the_root():
    """So that no include passes by the other tests under another path."""
    quoted = {
        other for text in SOURCES.values() for other in re.findall(r'^ *# *include *"([^"]+)"', text, re.MULTILINE)
    }
    assert quoted - SOURCES.keys() == set()


def test_no_file_includes_itself_through_others():
    """A header and its source count as one, so that two of them cannot include each other crosswise."""
    circles = TopologicalSorter()
    for name in SOURCES:
        unit = name.rsplit(".", 1)[0]
        circles.add(unit, *({other.rsplit(".", 1)[0] for other in included(name)} - {unit}))
    circles.prepare()  # raises CycleError, which names them


def test_every_exception_is_needed():
    assert [pair for pair in EXCEPTIONS if pair[1] not in included(pair[0])] == []


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_know_no_exceptions_and_no_stl(name):
    code = re.sub(r"//.*", "", SOURCES[name])
    headers = set(re.findall(r"# *include *<([^>]+)>", code)) - KERNEL_HEADERS
    names = set(re.findall(r"\bstd::(\w+)", code)) - KERNEL_NAMES
    assert headers | names | set(re.findall(r"\b(?:throw|try|catch)\b", code)) == set()


@pytest.mark.parametrize("name", KERNELS)
def test_tables_of_functions_name_their_members(name):
    """A swap of two functions of one type would compile in a list without names."""
    assert re.findall(r"Kernel(?:s|Table) +\w+ *(?:= *)?\{(?!\s*\.)", SOURCES[name]) == []
