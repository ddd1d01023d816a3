"""Figures: text stays text, colours are the page's variables, and both schemes are readable."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from tuner.blocks.palette import LEVELS, colours, contrast
from tuner.report.page.drawing.bars import LanguageSeries, language_bars, lying_bars
from tuner.report.page.drawing.canvas import HEAT, LABEL, SERIES, score_label
from tuner.report.page.drawing.curves import LearningCurve, learning_curves
from tuner.report.page.drawing.heat import heat
from tuner.report.page.drawing.intervals import Course, Interval, courses, forest
from tuner.report.page.drawing.parallel import Path, Upright, parallel
from tuner.report.page.drawing.scatter import Dots, scatter
from tuner.study.criteria import criteria_of
from tuner.study.roles import ProtocolConfig

ALT = 'Costs $5, "quoted" & <b>.'


@pytest.fixture(scope="module")
def drawn() -> dict[str, str]:
    """One of each, with names that mean something in TeX and in XML."""
    ticks = {0: "8\n1 of 2", 1: "16\n0 of 1"}
    curves = [
        LearningCurve("best", (400, 800), (60.0, 70.0)),
        LearningCurve("pruned", (400,), (55.0,)),
        LearningCurve("control", (400, 800), (60.0, 65.0)),
    ]
    standing = [
        LanguageSeries("$a_1$", {"en": 90.0, "ja": 60.0}, {"en": (88.0, 92.0), "ja": (55.0, 65.0)}),
        LanguageSeries("published", {"en": 94.0}, {}, published=True),
    ]
    course = [Course("0", {0: (70.0, 68.0, 72.0), 1: (71.0, 69.0, 73.0)}), Course("1", {})]
    return {
        "curves": learning_curves(curves, (400, 800), 50.0, "mean <dev>", ALT),
        "scatter": scatter([Dots("a", (0, 1), (70.0, 80.0))], ticks, "B", "β", 50.0, "dev", ALT),
        "heat": heat(["0", "1"], ["8"], {(0, 0): 70.0}, {(1, 0): "0 of 3"}, "B", "β", ALT),
        "lying": lying_bars({"optim.lr": 80.0, "fusion.layer": 20.0}, "%", ALT),
        "standing": language_bars(standing, ["en", "ja"], 50.0, "test", ALT),
        "forest": forest([Interval("a & b", 1.0, -0.5, 2.5, False)], "points", ALT),
        "courses": courses(course, {0: "8", 1: "16"}, "B", "β", 50.0, "dev, %", ALT, {0: 1}),
        "parallel": parallel(
            [Upright("B", {0.0: "8", 1.0: "16"}), Upright("score", {0.0: "1"})],
            [Path((0.0, 1.0), 1.0), Path((1.0, 0.0), 0.0), Path((1.0,), None)],
            ALT,
        ),
    }


def test_each_is_one_element_with_the_pages_colours(drawn: dict[str, str]) -> None:
    for name, svg in drawn.items():
        root = ET.fromstring(svg)
        assert root.tag.endswith("svg") and root.attrib["aria-label"] == ALT, name
        assert "NaN" not in svg and "nan" not in svg.lower().replace("nano", ""), name
        assert "<style" not in svg and "<metadata" not in svg, name
        left = set(re.findall(r"#[0-9a-fA-F]{6}\b", svg))
        assert left == set(), f"{name}: {left} are no variables"
        variables = set(re.findall(r"var\(--([\w-]+)\)", svg)) - {"font"}
        assert variables <= set(colours("light")) == set(colours("dark")), name


def test_text_stays_text_to_the_letter(drawn: dict[str, str]) -> None:
    def texts(name: str) -> list[str]:
        return ["".join(e.itertext()) for e in ET.fromstring(drawn[name]).iter() if "text" in e.tag]

    assert "$a_1$" in texts("standing")
    assert "mean <dev>, %" in texts("curves")
    assert {"1 of 2", "0 of 1"} <= set(texts("scatter"))
    assert {"70.0", "0 of 3"} <= set(texts("heat"))
    assert "a & b" in texts("forest")


def test_the_line_of_the_most_frequent_label_is_always_drawn(drawn: dict[str, str]) -> None:
    for name in ("curves", "scatter", "standing", "courses"):
        assert "most frequent label" in drawn[name], name


def test_the_same_figure_is_the_same_text() -> None:
    rows = [Interval("a", 1.0, 0.5, 1.5)]
    assert forest(rows, "points", ALT) == forest(rows, "points", ALT)


def test_markers_of_two_figures_do_not_share_a_name(drawn: dict[str, str]) -> None:
    names = [set(re.findall(r'\sid="([^"]+)"', svg)) for svg in drawn.values()]
    assert sum(map(len, names)) == len(set.union(*names)) > 0


def test_the_label_of_every_criterion_fits_beside_its_axis() -> None:
    """Also with the seven languages of PAWS-X."""
    seven = ["en", "de", "es", "fr", "ja", "ko", "zh"]
    criteria = criteria_of(ProtocolConfig(), seven, [], classes=2)
    for criterion in criteria.values():
        lines = score_label(criterion.in_words).splitlines()
        assert max(map(len, lines)) <= LABEL and len(lines) <= 2
        assert "dev accuracy" in lines[0] and lines[-1].endswith(", %")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_is_enough(scheme: str) -> None:
    """WCAG 2.2: 4.5 to 1 for text (1.4.3), 3 to 1 for what is drawn (1.4.11)."""
    found = colours(scheme)
    for name in ("ink", "muted", "accent"):
        assert contrast(found[name], found["paper"]) >= 4.5, name
    for number in range(len(SERIES)):
        assert contrast(found[f"series-{number}"], found["paper"]) >= 4.5
    for level in range(LEVELS):
        assert contrast(found[f"on-heat-{level}"], found[f"heat-{level}"]) >= 4.5, level
    assert len({found[f"heat-{level}"] for level in range(LEVELS)}) == len(HEAT)


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
