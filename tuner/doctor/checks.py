"""Checks of nodes: pure functions that judge the nodes' facts."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from tuner.doctor.findings import Finding, Level, Node, answering, listed
from tuner.doctor.node import NodeFacts
from tuner.run.disk import in_words

EVERYWHERE = (
    "tuner",
    "ray",
    "torch",
    "transformers",
    "numpy",
    "pydantic",
    "safetensors",
    "universal_pathlib",
)
"""Packages that every node needs; trials import them."""
ON_HEAD = ("datasets", "optuna", "mlflow")
"""Packages that only the driver needs."""
SKEW_WARN, SKEW_FAIL = 2.0, 30.0
"""Clock differences in seconds: above the first, timelines mislead; the second is half of the
difference that a study's lease allows."""
FULL, TIGHT = 0.95, 0.90
"""Used shares of a disk above which the check fails or warns; Ray stops writing at 0.95."""
LEAST_FREE = 1e9
"""Fewest free bytes in the storage with which a study should begin."""
OPEN_FILES = 8192
"""Fewest open files that a process must be allowed, as Ray recommends."""


def nodes_answer(nodes: Sequence[Node]) -> Finding:
    """Check that every node that Ray lists runs a probe."""
    silent = [node for node in nodes if node.facts is None]
    if silent:
        said = "; ".join(f"{node.name}: {node.silence}" for node in silent)
        remedy = (
            "Look at /tmp/ray/session_latest/logs/raylet.err there; stop the node, or start it "
            "again: ray start --address=HEAD:6379"
        )
        return Finding("nodes", "fail", said, remedy)
    count = f"{len(nodes)} nodes" if len(nodes) > 1 else "1 node"
    return Finding("nodes", "pass", f"{count}: {listed(node.name for node in nodes)}")


def versions_agree(nodes: Sequence[Node]) -> Finding:
    """Check that Python and all packages have the same version on every node; none is missing."""
    found = answering(nodes)
    wrong = []
    for package in ("python", *EVERYWHERE, *ON_HEAD):
        by_version: dict[str, list[str]] = {}
        for node, facts in found:
            version = facts["versions"].get(package, "")
            if version or package not in ON_HEAD or node.head:
                by_version.setdefault(version, []).append(node.name)
        if len(by_version) > 1 or "" in by_version:
            where = (f"{v or 'missing'} on {listed(names)}" for v, names in by_version.items())
            wrong.append(f"{package} {', '.join(where)}")
    if wrong:
        remedy = (
            "Install the same versions on every node, in a copy of this repository: pip install "
            "-c constraints.txt . ; or use one image for all nodes."
        )
        return Finding("versions", "fail", "; ".join(wrong), remedy)
    known = found[0][1]["versions"] if found else {}
    shown = ("tuner", "python", "ray", "torch", "transformers")
    text = ", ".join(f"{package} {known.get(package, '?')}" for package in shown)
    return Finding("versions", "pass", text + (" on every node" if len(found) > 1 else ""))


def gpus_work(nodes: Sequence[Node]) -> list[Finding]:
    """Check that torch sees the GPUs that Ray hands out, and that they compute correctly."""
    findings = []
    for node, facts in answering(nodes):
        claimed, seen = ceil(node.gpus), facts["gpus"]
        broken = [gpu for gpu in seen if gpu["error"]]
        if len(seen) < claimed:
            why = f" ({facts['gpu_error']})" if facts["gpu_error"] else ""
            findings.append(
                Finding(
                    "GPUs",
                    "fail",
                    f"{node.name} claims {claimed} GPU{'s' * (claimed > 1)}, but torch sees "
                    f"{len(seen) or 'none'} there{why}",
                    "Install NVIDIA's driver and a CUDA build of torch there (nvidia-smi; "
                    "python -c 'import torch; print(torch.cuda.device_count())'), or start it "
                    f"with --num-gpus={len(seen)}.",
                )
            )
        elif broken:
            findings.append(
                Finding(
                    "GPUs",
                    "fail",
                    f"{broken[0]['name']} of {node.name} does not compute: {broken[0]['error']}",
                    "Run nvidia-smi there: another process may use the GPU, or the driver may be "
                    "older than torch's CUDA.",
                )
            )
        elif slow := sorted({gpu["name"] for gpu in seen if not gpu["bf16"]}):
            findings.append(
                Finding(
                    "GPUs",
                    "warn",
                    f"{', '.join(slow)} of {node.name} has no bfloat16: trials use float32 there",
                    "If this matters, use GPUs from Ampere or later (A10, A100, L4, H100).",
                )
            )
    if findings:
        return findings
    names = [gpu["name"] for _, facts in answering(nodes) for gpu in facts["gpus"]]
    if not names:
        return [Finding("GPUs", "pass", "none here: trials run on CPUs")]
    kinds = ", ".join(f"{names.count(name)} x {name}" for name in sorted(set(names)))
    return [Finding("GPUs", "pass", f"{kinds}: compute correctly in bfloat16")]


def storage_shared(nodes: Sequence[Node], storage: str, shared: bool, grows: bool) -> list[Finding]:
    """Check that every node writes into the storage and reads what the other nodes wrote.

    Args:
        nodes: the nodes with their facts.
        storage: the folder or URL.
        shared: whether several machines can reach this kind of storage.
        grows: whether the cluster may add nodes later.
    """
    found = [node for node, _ in answering(nodes) if node.wrote is not None]
    failing = {node.name: node.wrote for node in found if node.wrote}
    if failing:
        said = "; ".join(f"{name}: {reason}" for name, reason in failing.items())
        return [
            Finding(
                "storage",
                "fail",
                f"{storage} cannot be written from {said}",
                "Check that it is mounted there and that the user that runs Ray may write to it; "
                "for a bucket, that its credentials are in the environment or the machine's role.",
            )
        ]
    blind = [node for node in found if node.unread]
    if blind:
        said = "; ".join(
            f"{node.name} does not see what {listed(node.unread)} wrote" for node in blind
        )
        return [
            Finding(
                "storage",
                "fail",
                f"{storage} is not the same everywhere: {said}",
                "A folder of one machine is not enough: mount the same network file system on all "
                "nodes, or use a bucket: --set storage=s3://BUCKET/studies",
            )
        ]
    if grows and not shared:
        return [
            Finding(
                "storage",
                "warn",
                f"{storage} is a local folder, and the cluster may start nodes that do not have it",
                "Use storage that all nodes reach: --set storage=s3://BUCKET/studies, gs://…, or "
                "NFS mounted by the cluster's setup_commands.",
            )
        ]
    each = f"each of {len(found)} nodes" if len(found) > 1 else found[0].name if found else "nobody"
    return [Finding("storage", "pass", f"{storage} is written and read by {each}")]


def clocks_agree(nodes: Sequence[Node]) -> Finding | None:
    """Check that nodes' clocks agree with the head's, to within half a request's round trip."""
    measured = [node for node in nodes if node.skew is not None and not node.head]
    if not measured:
        return None

    def least(node: Node) -> float:
        return max(0.0, abs(node.skew or 0.0) - node.skew_error)

    farthest = max(measured, key=least)
    skew, error = farthest.skew or 0.0, farthest.skew_error
    text = f"{farthest.name} is {abs(skew):.2g} s {'ahead of' if skew > 0 else 'behind'} the head"
    text += f" (± {error:.1g} s)"
    level: Level = "pass"
    if least(farthest) > SKEW_WARN:
        level = "fail" if least(farthest) > SKEW_FAIL else "warn"
    if level == "pass":
        text = f"at most {abs(skew):.2g} s apart (± {error:.1g} s)"
    remedy = "Synchronise the clocks with NTP on every node: timedatectl set-ntp true"
    return Finding("clocks", level, text, remedy if level != "pass" else "")


def disks_have_space(nodes: Sequence[Node]) -> list[Finding]:
    """Check the free space where Ray writes and in the storage."""
    findings = []
    for node, facts in answering(nodes):
        scratch = facts["scratch"]
        used = 1 - scratch["free"] / scratch["total"]
        if used > TIGHT:
            findings.append(
                Finding(
                    "disk",
                    "fail" if used > FULL else "warn",
                    f"{scratch['path']} of {node.name}, where Ray writes, is {used:.0%} full "
                    f"({in_words(scratch['free'])} are free)",
                    "Free some space, or start Ray with --temp-dir on a larger disk.",
                )
            )
        if node.storage is not None and node.storage["free"] < LEAST_FREE and node.head:
            findings.append(
                Finding(
                    "disk",
                    "fail",
                    f"{in_words(node.storage['free'])} are free in the storage "
                    f"{node.storage['path']}",
                    "Free some space, or use another folder: --set storage=FOLDER",
                )
            )
    if findings:
        return findings
    least = min((facts["scratch"]["free"] for _, facts in answering(nodes)), default=0)
    return [Finding("disk", "pass", f"{in_words(least)} or more are free where Ray writes")]


def shared_memory_suffices(nodes: Sequence[Node]) -> Finding:
    """Check that /dev/shm holds Ray's object store; otherwise Ray puts the store on a disk."""
    small = []
    for node, facts in answering(nodes):
        shm = facts["shm"]
        if shm is not None and shm["total"] < node.object_store:
            small.append(
                f"{node.name} has {in_words(shm['total'])} for an object store of "
                f"{in_words(node.object_store)}"
            )
    if small:
        remedy = (
            "Give containers more shared memory: docker run --shm-size=8g, in "
            "Kubernetes an emptyDir of medium Memory at /dev/shm; or start Ray with a smaller "
            "--object-store-memory."
        )
        return Finding("shared memory", "warn", f"/dev/shm is too small: {listed(small)}", remedy)
    sizes = [_shm(facts) for _, facts in answering(nodes)]
    return Finding("shared memory", "pass", f"/dev/shm holds {in_words(min(sizes, default=0))}")


def files_can_be_opened(nodes: Sequence[Node]) -> Finding:
    """Check that a process may open as many files as Ray recommends."""
    few = [
        f"{facts['open_files']:,} on {node.name}"
        for node, facts in answering(nodes)
        if 0 <= facts["open_files"] < OPEN_FILES
    ]
    if few:
        remedy = f"ulimit -n {OPEN_FILES} before `ray start`, or LimitNOFILE= in its service."
        return Finding("open files", "warn", f"at most {listed(few)}", remedy)
    return Finding("open files", "pass", f"{OPEN_FILES:,} or more at once")


def token_is_secret(nodes: Sequence[Node], cluster: bool) -> Finding | None:
    """Check that only its owner can read the token file; Ray writes it readable for all."""
    open_ = [
        (node.name, facts["token"])
        for node, facts in answering(nodes)
        if facts["token"] is not None and facts["token"] & 0o077
    ]
    if not open_:
        return Finding("token file", "pass", "nobody else can read it") if cluster else None
    said = listed(f"{name} ({mode:04o})" for name, mode in open_)
    return Finding(
        "token file",
        "fail" if cluster else "warn",
        f"other users can read the cluster's token on {said}",
        "Run chmod 600 ~/.ray/auth_token there",
    )


def _shm(facts: NodeFacts) -> int:
    return facts["shm"]["total"] if facts["shm"] is not None else 0
