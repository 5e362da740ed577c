from __future__ import annotations

import pytest

from worlds import World


@pytest.fixture
def world(tmp_path):
    world = World.create(tmp_path / "world.db", documents=40)
    yield world
    world.close()


@pytest.fixture
def empty_world(tmp_path):
    world = World.create(tmp_path / "empty.db")
    yield world
    world.close()
