"""What a probe does on a node."""

from __future__ import annotations

import json
import os
from pathlib import Path

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
