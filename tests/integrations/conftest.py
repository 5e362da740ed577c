"""Tests of the frameworks: each in every phase of a migration."""

import asyncio
import inspect
import shutil

import pytest

from phases import PHASES, make_collection, opened


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Await the tests that are coroutines."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.fixture(params=PHASES)
def phase(request):
    return request.param


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Return where collections are that were taken to their phases, by phase."""
    folders = {phase: tmp_path_factory.mktemp(phase.replace(" ", "_")) for phase in PHASES}
    for phase, folder in folders.items():
        make_collection(phase, folder / "docs.db")
    return folders


@pytest.fixture
def collection(phase, made, tmp_path):
    """Return an empty collection whose migration stands in a phase."""
    shutil.copytree(made[phase], tmp_path / "copy")
    with opened(phase, tmp_path / "copy" / "docs.db") as docs:
        yield docs
