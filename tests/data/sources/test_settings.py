"""Settings of files: refused with what is allowed."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tuner.study.data import FilesData


@pytest.mark.parametrize(
    ("given", "problem", "remedied"),
    [
        (
            {"columns": {"sentence1": 1, "sentence2": 2, "label": 3}},
            r"all be names, or all be numbers .* got id: id, .*id: null",
            {"columns": {"id": None, "sentence1": 1, "sentence2": 2, "label": 3}},
        ),
        (
            {
                "train": "a/{language}.jsonl",
                "columns": {"id": None, "sentence1": 1, "sentence2": 2, "label": 3},
            },
            r"only .tsv, .txt, .csv .* without a header .*\{language\}.jsonl",
            {"train": "a/{language}.jsonl"},
        ),
        (
            {"columns": {"sentence1": "a_{language}"}},
            r"sentence1 and sentence2 must both contain \{language\}",
            {
                "train": "a.tsv",
                "dev": "b.tsv",
                "columns": {"sentence1": "a_{language}", "sentence2": "b_{language}"},
            },
        ),
        (
            {"dev": "b.tsv"},
            r"data.dev .* \{language\}.*data.columns.language.*sentence1_\{language\}",
            {"dev": "b.tsv", "columns": {"language": "lang"}},
        ),
        (
            {"dev": {"path": "b.tsv", "columns": {}}},
            r"data.dev .* \{language\}.*data.dev.columns.sentence1: sentence1_\{language\}",
            {
                "dev": {
                    "path": "b.tsv",
                    "columns": {
                        "sentence1": "sentence1_{language}",
                        "sentence2": "sentence2_{language}",
                    },
                }
            },
        ),
        (
            {"dev": {"path": "{language}.tsv", "columns": {"language": "lang"}}},
            "data.dev contains .* and data.dev.columns.language .* only one is needed",
            {"dev": {"path": "{language}.tsv", "columns": {}}},
        ),
        (
            {"columns": {"label": "sentence1"}},
            "columns must be distinct, got .*label: sentence1",
            {"columns": {"label": "label"}},
        ),
        (
            {"columns": {"label": 0}},
            "its number, counted from 1, got 0",
            {"columns": {"label": "0"}},
        ),
        ({"dev": "{language}.xlsx"}, "must end in .tsv, .txt, .csv", {"dev": "{language}.csv.gz"}),
        ({"dev": 5}, "must be a path, or a block with path", {"dev": {"path": "{language}.csv"}}),
        ({"labels": [0.5, 1]}, "got 0.5: write '0.5'", {"labels": ["0.5", 1]}),
        ({"labels": ["a"]}, r"must be two or more, .* got \[a\]", {"labels": ["a", "b"]}),
        ({"labels": ["a", " A"]}, "in more than case", {"labels": [["a", " A"], "b"]}),
        ({"labels": [["a", "1"], "1.0"]}, "format of numbers", {"labels": ["a", ["1", "1.0"]]}),
        ({"labels": [[], "b"]}, "must be two or more", {"labels": ["a", "b"]}),
    ],
)
def test_settings_are_refused_with_what_is_allowed(
    given: dict[str, Any], problem: str, remedied: dict[str, Any]
) -> None:
    paths = {"train": "{language}.tsv", "dev": "{language}.tsv"}
    good = {"source": "files", "machine_translated": [], **paths}
    with pytest.raises(ValidationError, match=f"(?s){problem}"):
        FilesData.model_validate(good | given)
    data = FilesData.model_validate(good | remedied)
    assert FilesData.model_validate(data.model_dump(mode="json")) == data
    assert FilesData.model_validate_json(data.model_dump_json()) == data
