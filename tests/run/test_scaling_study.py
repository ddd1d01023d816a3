"""A small scaling study through the command line, on a real Ray: interrupted, resumed, reported."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from statistics import fmean

import pytest

from tests.processes import Command, finish, record, wait_for
from tuner.scaling.result import Scaled

pytestmark = pytest.mark.slow

STUDY = """
name: little
data: {source: nano}
encoder: {name: nano, max_length: 32}
languages: {source: [en, de], target: [es, ja]}
budget: {pairs_per_trial: 320}
scheduler: {kind: none}
trial: {precision: fp32}
space:
  batch.effective_size: [16, 32]
  mix.cross_lingual: [0.0, 1.0]
design:
  kind: scaling
  hold: steps
  seeds: [1, 2]
  tuning: {lr: [1.0e-9, 1.0e-3, 1.0e-1], seeds: [9], at: {mix.cross_lingual: 0.0}}
"""


def test_from_its_yaml_to_its_conclusion(tuner: Command, place: Path) -> None:
    path = place / "little.yaml"
    path.write_text(STUDY)
    searching = tuner("search", str(path))
    wait_for(place, lambda r: sum(t.origin == "design" for t in r.trials) > 0, searching, "little")
    searching.send_signal(signal.SIGINT)
    assert finish(searching)[0] == 130
    code, printed = finish(tuner("resume", "little"))
    assert code == 0, printed
    study = record(place, "little")
    assert study.state == "completed" and len(study.trials) == 6 + 8
    for trial in study.trials:
        assert trial.last is not None
        assert trial.last.pairs_seen == 10 * trial.config.batch.effective_size
    result = Scaled.of(study)
    for cell, seeds in result.seeds_of.items():
        assert [seed.seed for seed in seeds] == [1, 2], cell
        for seed in seeds:  # answers say what the scores say
            last = study.trials[seed.trial].last
            assert last is not None
            for response, accuracy in seed.accuracy.items():
                scores = last.oracle if response != "sources" else last.select
                assert accuracy == pytest.approx(scores[response].accuracy)
    code, printed = finish(tuner("report", "little"))
    assert code == 0, printed
    text = " ".join(printed.split())
    assert "4 configurations were planned, each with seeds 1, 2" in text
    assert "Claim: zero-shot for es, ja; trained on en, de" in text
    if result.fits:  # by hand, from raw scores
        scores = {
            share: fmean(
                seed.accuracy["targets"]
                for cell, seeds in result.seeds_of.items()
                if cell in result.fitted and cell.cross_lingual == share
                for seed in seeds
            )
            for share in (0.0, 1.0)
        }
        effects = {e.name: e.estimate.value for e in result.fits["targets"].effects}
        assert effects["β"] == pytest.approx(100 * (scores[1.0] - scores[0.0]))
    code, printed = finish(tuner("status", "little", "--json"))
    assert code == 0 and json.loads(printed.splitlines()[-1])["best"] is None
    code, printed = finish(tuner("resume", "little"))
    assert code == 0 and "its design has no more trials" in printed
