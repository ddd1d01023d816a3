"""A knob added at its neutral value invalidates nothing: neither records nor checkpoints."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.processes import SMOKE, Command, finish, record, wait_for
from tests.seams.conftest import Changed
from tuner.study.trial import TrialConfig

KNOB = '    clip: Annotated[float, Neutral(0.0)] = Field(0.5, ge=0, description="a new knob")\n'
LONG = ["--set", "budget.trials=2", "--set", "budget.pairs_per_trial=12800"]


IDENTITY = {
    "seed": 0,
    "mix": {"cross_lingual": 0.0, "granularity": "language"},
    "batch": {"effective_size": 32, "micro_size": 32},
    "fusion": {"kind": "sum", "layer": 1, "mode": "multiply", "reduction": 4},
    "head": {"dropout": 0.1},
    "optim": {
        "lr": 0.001,
        "lr_scaling": "none",
        "new_modules_lr": 1.0,
        "warmup_ratio": 0.0,
        "schedule": "linear",
        "weight_decay": 0.0,
        "eps": 1e-08,
        "max_grad_norm": 1.0,
    },
    "precision": "auto",
}


def test_an_identity_stays_what_it_is() -> None:
    """Checkpoints of earlier versions depend on it: a knob that is added has a neutral value."""
    config = TrialConfig.from_flat({"optim.lr": 1e-3, "fusion.kind": "sum", "fusion.layer": 1})
    assert config.identity() == IDENTITY


@pytest.mark.slow
@pytest.mark.integration
def test_a_knob_at_its_neutral_value(tuner: Command, changed: Changed, place: Path) -> None:
    """Trials from before go on from their checkpoints as they were, though its default differs."""
    process = tuner("search", str(SMOKE), *LONG)
    wait_for(place, lambda s: sum(len(t.evaluations) for t in s.trials) >= 3, process)
    os.kill(process.pid, signal.SIGTERM)
    assert finish(process)[0] == 130
    before = record(place)
    changed.insert("study/trial.py", "    max_grad_norm: ", KNOB)
    changed("resume", "smoke")
    events = (place / "studies" / "smoke" / "journal.jsonl").read_text(encoding="utf-8")
    went_on = sum(trial.state == "interrupted" for trial in before.trials)
    candidates = sum(trial.to_the_end for trial in record(place).trials)
    assert events.count('"trial_restored"') == went_on + candidates
    assert events.count('"clip":0.0') + events.count('"clip": 0.0') == 0
    changed("replay", "smoke", "0")
