"""The doctor's checks, on facts; each of them sound, and each broken in one place."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from tuner.doctor import checks
from tuner.doctor.findings import Finding, Node
from tuner.doctor.node import DiskSpace, Gpu, NodeFacts
from tuner.doctor.show import findings_as_json, in_words, show_findings

VERSIONS = dict.fromkeys(("python", *checks.EVERYWHERE, *checks.ON_HEAD), "1.0")
GB = 10**9


def facts(**changes: Any) -> NodeFacts:
    whole = NodeFacts(
        host="a",
        versions=VERSIONS,
        gpus=[],
        gpu_error="",
        scratch=DiskSpace(path="/tmp/ray", total=100 * GB, free=50 * GB),
        shm=DiskSpace(path="/dev/shm", total=8 * GB, free=8 * GB),
        token=0o600,
        open_files=65536,
    )
    return {**whole, **changes}  # type: ignore[typeddict-item]


def gpu(**changes: Any) -> Gpu:
    return {**Gpu(name="A100", bf16=True, error=""), **changes}  # type: ignore[typeddict-item]


HEAD = Node("head 1a2b3c4d", head=True, object_store=2 * GB, facts=facts(), skew=0.0, wrote="")
WORKER = replace(HEAD, name="gpu 5e6f7a8b", head=False)


def worker(**changes: Any) -> Node:
    """A worker with other facts."""
    return replace(WORKER, facts=facts(**changes))


def test_a_sound_cluster_passes() -> None:
    nodes = [HEAD, replace(worker(gpus=[gpu()]), gpus=1.0)]
    findings = [
        checks.nodes_answer(nodes),
        checks.versions_agree(nodes),
        *checks.gpus_work(nodes),
        *checks.storage_shared(nodes, "s3://b", shared=True, grows=True),
        checks.clocks_agree(nodes),
        *checks.disks_have_space(nodes),
        checks.shared_memory_suffices(nodes),
        checks.files_can_be_opened(nodes),
        checks.token_is_secret(nodes, cluster=True),
    ]
    assert [finding.level for finding in findings if finding] == ["pass"] * 9
    assert not any(finding.remedy for finding in findings if finding)


def test_a_node_that_does_not_answer_fails() -> None:
    silent = replace(WORKER, facts=None, silence="no answer within 60 s")
    finding = checks.nodes_answer([HEAD, silent])
    assert finding.level == "fail"
    assert finding.found == "gpu 5e6f7a8b: no answer within 60 s"
    assert "ray start" in finding.remedy


def test_versions_that_differ_are_named_with_their_nodes() -> None:
    finding = checks.versions_agree([HEAD, worker(versions=VERSIONS | {"transformers": "0.9"})])
    assert finding.level == "fail" and "constraints.txt" in finding.remedy
    assert finding.found == "transformers 1.0 on head 1a2b3c4d, 0.9 on gpu 5e6f7a8b"


def test_a_package_may_be_missing_only_where_nothing_needs_it() -> None:
    assert checks.versions_agree([HEAD, worker(versions=VERSIONS | {"mlflow": ""})]).level == "pass"
    finding = checks.versions_agree([HEAD, worker(versions=VERSIONS | {"torch": ""})])
    assert finding.level == "fail" and "missing on gpu 5e6f7a8b" in finding.found
    headless = replace(HEAD, facts=facts(versions=VERSIONS | {"mlflow": ""}))
    assert checks.versions_agree([headless, WORKER]).level == "fail"


@pytest.mark.parametrize(
    ("claimed", "seen", "error", "level", "found"),
    [
        (1.0, [], "", "fail", "claims 1 GPU, but torch sees none there"),
        (2.0, [gpu()], "", "fail", "claims 2 GPUs, but torch sees 1 there"),
        (1.0, [], "no driver", "fail", "torch sees none there (no driver)"),
        (1.0, [gpu(error="no kernel image")], "", "fail", "does not compute: no kernel image"),
        (1.0, [gpu(name="T4", bf16=False)], "", "warn", "T4 of gpu 5e6f7a8b has no bfloat16"),
        (0.0, [], "", "pass", "none here: trials run on CPUs"),
        (2.0, [gpu(), gpu()], "", "pass", "2 x A100: compute correctly in bfloat16"),
    ],
)
def test_gpus(claimed: float, seen: list[Gpu], error: str, level: str, found: str) -> None:
    node = replace(worker(gpus=seen, gpu_error=error), gpus=claimed)
    (finding,) = checks.gpus_work([HEAD, node])
    assert finding.level == level and found in finding.found


def test_storage_that_is_not_written_or_not_the_same_fails() -> None:
    denied = replace(WORKER, wrote="Permission denied")
    (finding,) = checks.storage_shared([HEAD, denied], "/nfs", shared=True, grows=False)
    assert finding.level == "fail"
    assert finding.found == "/nfs cannot be written from gpu 5e6f7a8b: Permission denied"
    blind = replace(WORKER, unread={"head 1a2b3c4d": "No such file or directory"})
    (finding,) = checks.storage_shared([HEAD, blind], "/data", shared=False, grows=False)
    assert finding.level == "fail" and "s3://" in finding.remedy
    assert "gpu 5e6f7a8b does not see what head 1a2b3c4d wrote" in finding.found


def test_a_local_storage_is_warned_of_where_nodes_may_come() -> None:
    (finding,) = checks.storage_shared([HEAD], "/data", shared=False, grows=True)
    assert finding.level == "warn" and "nodes that do not have it" in finding.found
    (finding,) = checks.storage_shared([HEAD], "/data", shared=False, grows=False)
    assert finding.level == "pass"


@pytest.mark.parametrize(
    ("skew", "error", "level"),
    [
        (1.0, 0.01, "pass"),
        (-3.0, 0.01, "warn"),
        (31.0, 0.01, "fail"),
        (3.0, 1.5, "pass"),  # by what is sure, 1.5 s
    ],
)
def test_clocks(skew: float, error: float, level: str) -> None:
    finding = checks.clocks_agree([HEAD, replace(WORKER, skew=skew, skew_error=error)])
    assert finding is not None and finding.level == level
    assert bool(finding.remedy) == (level != "pass")


def test_one_node_has_no_clock_to_compare() -> None:
    assert checks.clocks_agree([HEAD]) is None


@pytest.mark.parametrize(("free", "level"), [(4, "fail"), (8, "warn"), (20, "pass")])
def test_disks(free: int, level: str) -> None:
    full = worker(scratch=DiskSpace(path="/tmp/ray", total=100 * GB, free=free * GB))
    (finding,) = checks.disks_have_space([HEAD, full])
    assert finding.level == level


def test_a_storage_without_space_fails() -> None:
    head = replace(HEAD, storage=DiskSpace(path="/data", total=100 * GB, free=GB // 2))
    (finding,) = checks.disks_have_space([head])
    assert finding.level == "fail" and "500.0 MB are free in the storage /data" in finding.found


def test_shared_memory_smaller_than_the_object_store_is_warned_of() -> None:
    small = worker(shm=DiskSpace(path="/dev/shm", total=64 * 10**6, free=64 * 10**6))
    finding = checks.shared_memory_suffices([HEAD, small])
    assert finding.level == "warn" and "--shm-size" in finding.remedy
    assert "gpu 5e6f7a8b has 64.0 MB for an object store of 2.0 GB" in finding.found


def test_few_open_files_are_warned_of() -> None:
    finding = checks.files_can_be_opened([HEAD, worker(open_files=1024)])
    assert finding.level == "warn" and "1,024 on gpu 5e6f7a8b" in finding.found


def test_a_token_that_others_can_read_fails_on_a_cluster() -> None:
    open_ = worker(token=0o644)
    finding = checks.token_is_secret([HEAD, open_], cluster=True)
    assert finding is not None and finding.level == "fail"
    assert "gpu 5e6f7a8b (0644)" in finding.found and "chmod 600" in finding.remedy
    alone = checks.token_is_secret([open_], cluster=False)
    assert alone is not None and alone.level == "warn"
    assert checks.token_is_secret([HEAD], cluster=False) is None


def printed(findings: list[Finding], terminal: bool) -> str:
    console = Console(width=80, force_terminal=terminal, file=StringIO(), record=True)
    show_findings(findings, console)
    return console.export_text()


def test_it_is_shown_at_80_columns_and_whole_in_a_log() -> None:
    findings = [
        Finding("storage", "fail", "word " * 40, "do this " * 20),
        Finding("versions", "pass", "fine"),
        Finding("disk", "warn", "at http://user:secret@host \x1b[31m", "mind"),
    ]
    told = printed(findings, terminal=True)
    assert max(map(len, told.splitlines())) <= 80
    assert (
        told.startswith("fail  storage        word") and "\n                     → do this" in told
    )
    assert "secret" not in told and "\x1b[31m" not in told
    assert told.rstrip().endswith("1 fail, 1 warn, 1 pass")
    log = printed(findings, terminal=False).splitlines()
    assert log[0].rstrip().endswith("word word") and len(log) == 7


def test_the_summary_says_whether_something_stands_in_the_way() -> None:
    good, mind = Finding("a", "pass", "x"), Finding("b", "warn", "y", "z")
    assert in_words([good, good]) == "all 2 checks pass"
    assert in_words([good, mind]) == "1 warn, 1 pass: nothing stands in the way"
    assert findings_as_json([good, mind]) == {
        "level": "warn",
        "checks": [
            {"check": "a", "level": "pass", "found": "x", "remedy": ""},
            {"check": "b", "level": "warn", "found": "y", "remedy": "z"},
        ],
    }
