"""A fusion kind is one class and its line in `FUSIONS`; every command follows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.seams.conftest import Changed

pytestmark = pytest.mark.slow

SMOKE = Path(__file__).parents[2] / "search_spaces" / "smoke.yaml"
CODE = '''
class Gate(nn.Module):
    """Z = X + g ⊙ Y with a learnt gate g for each feature."""

    def __init__(self, config: FusionConfig, hidden_size: int) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.zeros(hidden_size))

    def forward(self, last: Hidden, lower: Hidden | None, mask: Mask) -> Hidden:
        return last + self.gate * lower


'''
LINE = '    "gate": Fusion("tuner.model.fusion:Gate", lambda hidden, _: hidden),\n'
USED = [
    "--set",
    "space.fusion.kind=[last, gate]",
    "--set",
    "space.fusion.layer={type: int, low: 0, high: 3, when: {fusion.kind: [gate]}}",
]


def test_a_kind_of_fusion(changed: Changed) -> None:
    changed.insert("model/fusion.py", "class DoubleLayerFeatureAggregation(", CODE.lstrip())
    changed.insert("study/fusions.py", '    "dlfa": Fusion(', LINE)
    assert "gate" in changed("schema")
    plan = json.loads(changed("plan", str(SMOKE), *USED, "--json"))
    assert plan["trials"] == 4
    trained = ["--set", "trial.fusion.kind=gate", "--set", "trial.fusion.layer=1"]
    of_space = ["space={optim.lr: [1e-3]}", "baseline=null"]
    changed("train", str(SMOKE), *trained, *(w for s in of_space for w in ("--set", s)))
    changed("search", str(SMOKE), *USED)
    report = json.loads(changed("report", "smoke", "--json"))
    assert "gate" in {trial["params"]["fusion.kind"] for trial in report["trials"]}
