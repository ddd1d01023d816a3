"""The work of a probe on a node."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tuner.doctor.node import Probe


def test_nothing_is_left_of_what_was_written(tmp_path: Path) -> None:
    """Two nodes with one storage, whose folder was not there; one that could not have it."""
    storage = tmp_path / "new" / "studies"
    first, second = Probe(str(storage)), Probe(str(storage))
    assert first.write("a") == "" and second.write("b") == ""
    assert first.read(["a", "b"]) == {} and second.read(["a", "b"]) == {}
    first.remove("a")
    first.leave()
    assert storage.exists(), "another node's file is there"
    second.remove("b")
    second.leave()
    first.leave()
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_or_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    probe = Probe(str(tmp_path / "file" / "studies"))
    assert probe.write("a") == "Not a directory"
    assert Probe(str(tmp_path)).read(["a"]) == {"a": "No such file or directory"}
    (tmp_path / "a").write_text("b")
    assert Probe(str(tmp_path)).read(["a"]) == {"a": "it holds something else"}


def test_facts_of_this_machine(tmp_path: Path) -> None:
    facts = Probe(None).facts(["numpy", "no-such-package"], gpus=False)
    assert facts["versions"]["no-such-package"] == "" and facts["versions"]["numpy"]
    assert facts["scratch"]["total"] >= facts["scratch"]["free"] > 0
    assert facts["gpus"] == [] and json.dumps(facts)
    assert facts["host"] == os.uname().nodename


SEND = """
import sys
from ray import cloudpickle
from tuner.cluster import private
from tuner.doctor import node
for module in (node, private):
    cloudpickle.register_pickle_by_value(module)
sys.stdout.buffer.write(cloudpickle.dumps(node.Probe))
"""
TAKE = """
import sys
sys.modules["tuner"] = None
from ray import cloudpickle
probe = cloudpickle.load(sys.stdin.buffer)(None)
print(probe.facts([], False)["scratch"]["path"])
"""


@pytest.mark.integration
def test_a_node_needs_no_package_of_ours(tmp_path: Path) -> None:
    """The modules that `tuner.doctor.examine` sends by value are all that a probe needs."""
    sent = subprocess.run([sys.executable, "-c", SEND], check=True, capture_output=True).stdout
    environment = os.environ | {"RAY_TMPDIR": str(tmp_path)}
    took = subprocess.run(
        [sys.executable, "-P", "-c", TAKE], input=sent, env=environment, capture_output=True
    )
    assert took.stdout.decode().strip() == str(tmp_path), took.stderr.decode()
