"""What holds of every command: an example, JSON that ends in next steps, completion."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from revector.cli import app
from revector.cli.examples import EXAMPLES
from revector.collection import Collection
from revector.testing import HashEncoder

COMMANDS = typer.main.get_command(app).commands


@pytest.fixture
def place(tmp_path):
    """Return a collection with a migration that has been started."""
    place = str(tmp_path / "docs.db")
    with Collection.open(place, HashEncoder(8, seed=1, name="old")) as docs:
        docs.upsert(["a", "b"], ["one", "two"])
        docs.migrate(HashEncoder(12, seed=2, name="new")).start()
    return place


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_has_an_example(name):
    shown = " ".join(CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200"}).stdout.split())
    assert f"revector {name} " in shown.replace("Usage: revector", "")


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_a_command_that_can_be_typed(name):
    _, command, *arguments = shlex.split(EXAMPLES[name])
    context = COMMANDS[name].make_context(name, arguments)
    assert (command, context.args) == (name, [])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_json(name):
    assert any("--json" in parameter.opts for parameter in COMMANDS[name].params)


READING = ["status", "failures", "events", "depends", "throttle", "watch --once", "checklist", "doctor"]
CHANGING = ["pause", "resume", "retry", "rollback", "pause --dry-run", "throttle --rate 5"]
REFUSED = ["retire", "cutover", "rollout", "run", "search q", "nonsense", "backup", "start --model nowhere"]


@pytest.mark.parametrize("typed", [*READING, *CHANGING, *REFUSED])
def test_every_document_ends_in_next_steps(place, typed):
    verb, *options = typed.split()
    result = CliRunner().invoke(app, [verb, place, *options, "--json"])
    document = json.loads(result.stdout)
    assert list(document)[-1] == "next_steps"
    assert all(step.startswith(("revector ", "pip ")) for step in document["next_steps"])
    assert ("error" in document) == (typed in REFUSED)
    assert "Traceback" not in result.stderr


def test_next_steps_name_commands_that_there_are(place):
    for typed in (*READING, "pause", "resume"):
        verb, *options = typed.split()
        steps = json.loads(CliRunner().invoke(app, [verb, place, *options, "--json"]).stdout)["next_steps"]
        assert {step.split()[1] for step in steps} <= {*COMMANDS, "pilot", "plan"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_how_to_complete(shell):
    script = _completed(f"source_{shell}")
    assert "_REVECTOR_COMPLETE" in script
    assert "revector" in script


def test_commands_and_options_are_completed():
    offered = _completed("complete_bash", COMP_WORDS="revector wat", COMP_CWORD="1")
    assert offered.split() == ["watch"]
    offered = _completed("complete_bash", COMP_WORDS="revector watch --ev", COMP_CWORD="2")
    assert offered.split() == ["--every"]


def _completed(instruction, **words):
    environment = {**os.environ, "_REVECTOR_COMPLETE": instruction, **words}
    code = "from revector.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    return re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
