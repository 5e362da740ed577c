"""Programs of the operator's run around the steps of a migration, and can stop one."""

from __future__ import annotations

import pytest

from revector.errors import HookFailedError, InvalidArgumentError
from revector.ledger.state import Phase
from revector.migration.hooks import Hooks


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "hooks"


def _hook(folder, name, script):
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_a_hook_that_fails_stops_the_step_and_says_why(world, folder):
    path = _hook(folder, "before-cutover", "echo not on a Friday; exit 7")
    migration = world.proving()
    refused = pytest.raises(HookFailedError, match="ended with exit code 7: not on a Friday")
    with refused as caught, Hooks(folder).around("cutover", migration):
        migration.cutover()
    assert (caught.value.hook, caught.value.code, migration.phase) == (str(path), 7, Phase.PROVING)


def test_hooks_are_told_what_happens_to_which_collection(world, folder):
    for name in ("before-rollback", "after-rollback"):
        _hook(folder, name, 'echo "$REVECTOR_STEP $REVECTOR_PHASE $REVECTOR_TARGET_MODEL $REVECTOR_COLLECTION"')
    migration = world.started()
    with Hooks(folder).around("rollback", migration):
        migration.rollback()
    hooks = [event.details for event in migration.events() if event.name == "hook"]
    place = world.backend.place
    assert hooks == [
        {"hook": "before-rollback", "code": 0, "output": f"rollback filling new {place}"},
        {"hook": "after-rollback", "code": 0, "output": f"rollback rolled_back new {place}"},
    ]


def test_a_hook_that_fails_after_the_step_is_a_warning(world, folder, caplog):
    _hook(folder, "after-rollback", "exit 3")
    migration = world.started()
    with Hooks(folder).around("rollback", migration):
        migration.rollback()
    assert migration.phase is Phase.ROLLED_BACK
    assert "ended with exit code 3" in caplog.text


def test_a_step_without_hooks_is_taken(world, folder):
    folder.mkdir()
    migration = world.started()
    with Hooks(folder).around("rollback", migration):
        migration.rollback()
    assert [event for event in migration.events() if event.name == "hook"] == []


def test_a_program_without_its_interpreter_fails_like_any_other(world, folder):
    _hook(folder, "before-run", "").write_text("#!/nowhere/sh\n")
    migration = world.started()
    with pytest.raises(HookFailedError, match="exit code 127"), Hooks(folder).around("run", migration):
        migration.run()


def test_a_hook_that_would_never_run_is_refused(folder):
    _hook(folder, "before-cut-over", "exit 0")
    with pytest.raises(InvalidArgumentError, match="before-cut-over is not the hook of a step"):
        Hooks(folder)


def test_a_hook_that_cannot_be_executed_is_refused(folder):
    _hook(folder, "before-cutover", "exit 0").chmod(0o644)
    with pytest.raises(InvalidArgumentError, match="chmod"):
        Hooks(folder)


def test_a_folder_that_is_not_there_is_refused(folder):
    with pytest.raises(InvalidArgumentError, match="not a folder"):
        Hooks(folder)
