"""Each cluster of cluster/ keeps every rule, and each rule notices when it is broken."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.manifests.manifests import FILES, FOLDER, KUBERAY, RAY_UP, load, read
from tests.manifests.mutations import (
    CLOUD_BROKEN,
    JOB_BROKEN,
    KUBERAY_BROKEN,
    RAY_UP_BROKEN,
    Edit,
    spec_of,
)
from tests.manifests.rules import RULES, broken
from tuner.plan.prices import load_prices


@pytest.mark.parametrize("name", FILES)
def test_every_cluster_keeps_every_rule(name: str) -> None:
    assert broken(read(load(name))) == {}


def test_every_file_is_looked_at() -> None:
    files = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.yaml")}
    assert files - set(FILES) == {"prices.yaml", "kuberay/base.yaml", "mlflow/compose.yaml"}


CASES = [
    pytest.param(name, rule, edit, id=f"{name}-{rule}-{number}")
    for names, broken_by, of in (
        (RAY_UP, RAY_UP_BROKEN, None),
        (RAY_UP[:2], CLOUD_BROKEN, None),
        (KUBERAY, KUBERAY_BROKEN, spec_of),
        (KUBERAY[1:], JOB_BROKEN, None),
    )
    for name in names
    for rule, edits in broken_by.items()
    for number, edit in enumerate(
        [edit if of is None else (lambda whole, edit=edit: edit(spec_of(whole))) for edit in edits]
    )
]


@pytest.mark.parametrize(("name", "rule", "edit"), CASES)
def test_each_rule_notices(name: str, rule: str, edit: Edit) -> None:
    manifest = yaml.safe_load(yaml.dump(load(name), Dumper=NoAliases, sort_keys=False))
    edit(manifest)
    assert rule in broken(read(manifest))


def test_each_rule_is_broken_once() -> None:
    tried = (RAY_UP_BROKEN, CLOUD_BROKEN, KUBERAY_BROKEN, JOB_BROKEN)
    assert {rule for cases in tried for rule in cases} == set(RULES)


class NoAliases(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


@pytest.mark.parametrize("name", FILES)
def test_what_a_user_edits_is_one_block_at_the_top(name: str) -> None:
    """Values that may differ between users are given there, and referred to everywhere else."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    before, _, rest = text.partition("# ---- Edit this block")
    block, _, after = rest.partition("\n# -----")
    assert len(before.splitlines()) < 20
    assert "&storage" in block and "&mlflow" in block
    assert "*storage" in after and "*mlflow" in after
    private = (
        r"s3://|gs://|https://(?!www\.googleapis)|YOUR-|example\.org|REGISTRY|us-\w+-\d|\d\.xlarge"
    )
    assert re.findall(private, after) == []
    undocumented = [
        line for line in block.splitlines() if "&" in line and line.strip().startswith("-")
    ]
    assert undocumented == []


def test_the_two_clusters_on_kubernetes_are_the_same() -> None:
    """But for the container by which the operator learns how its job is."""
    cluster, job = (spec_of(load(name)) for name in KUBERAY)
    beside = job["headGroupSpec"]["template"]["spec"]["containers"].pop()
    assert beside["command"][0] == "socat"
    assert job == cluster


def test_pods_hear_the_cluster_and_the_operator_alone() -> None:
    base = list(yaml.safe_load_all((FOLDER / "kuberay" / "base.yaml").read_text(encoding="utf-8")))
    account, pods, head = base
    assert (account["kind"], account["metadata"]["name"]) == ("ServiceAccount", "tuner")
    assert pods["spec"]["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": "tuner"}
    for policy in (pods, head):
        assert policy["kind"] == "NetworkPolicy"
        assert policy["spec"]["policyTypes"] == ["Ingress"]
    [[own]] = [rule["from"] for rule in pods["spec"]["ingress"]]
    assert own == {"podSelector": pods["spec"]["podSelector"]}  # of this namespace
    [operator] = head["spec"]["ingress"]
    assert operator["ports"] == [{"port": 8265, "protocol": "TCP"}]
    [source] = operator["from"]
    assert source["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": "kuberay-operator"}


def test_every_node_has_a_price() -> None:
    prices = load_prices(FOLDER / "prices.yaml")
    names = {nodes.name for name in RAY_UP for nodes in read(load(name)).workers}
    names |= {name for file in RAY_UP[:2] for name in load(file)["available_node_types"]}
    names |= {nodes.name for name in KUBERAY for nodes in read(load(name)).workers}
    names |= {"headgroup", "head"}  # of KubeRay's head, and of one that was started by hand
    assert prices.per_hour.keys() == names
    assert prices.currency == "USD"
    per_hour = prices.per_hour
    for name in names:
        if name.endswith("-spot"):
            assert 0 < per_hour[name] < per_hour[name.replace("spot", "on-demand")]


def test_there_are_as_many_hosts_as_may_join() -> None:
    manifest = load("on-prem.yaml")
    assert manifest["max_workers"] == len(manifest["provider"]["worker_ips"])
    assert manifest["provider"]["head_ip"] not in manifest["provider"]["worker_ips"]
