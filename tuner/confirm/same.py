"""Whether what stands beside a search is its own, and has its data and its encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tuner.errors import UserError
from tuner.records import StudyRecord
from tuner.study import StudyConfig
from tuner.study.design import ConfirmDesign

SPLITS = ("train", "dev", "test")


def check_same(
    search: Mapping[str, Any], found: Mapping[str, Any], splits: Sequence[str] = SPLITS
) -> None:
    """Refuse to confirm on other data or another encoder than the search had.

    Args:
        search: its facts.
        found: those of what is about to begin.
        splits: that have to be the same.

    Raises:
        UserError: they are not, or the search's journal does not say.
    """
    if "splits" not in search["data"]:
        raise UserError(
            "the search was begun with an earlier version, which kept no checksum of each split: "
            "whether its data is the same cannot be known",
            "Begin the search anew, under another name.",
        )
    was, now = search["data"]["splits"], found["data"]["splits"]
    changed = [split for split in splits if was.get(split) != now.get(split)]
    what = [f"its data ({', '.join(changed)})"] if changed else []
    if search["encoder"]["checksum"] != found["encoder"]["checksum"]:
        what.append("its encoder")
    if what:
        raise UserError(
            f"{' and '.join(what)} {'has' if len(what) == 1 else 'have'} changed since the search "
            "began: what is trained now would be compared with what was trained on something else",
            "Restore what has changed, or begin a new search under another name.",
        )


def check_own(planned: StudyConfig, there: StudyRecord, search: StudyRecord) -> None:
    """Refuse to go on with another study than the external reference that is asked for.

    Args:
        planned: the reference.
        there: what has its name.
        search: what it stands beside.

    Raises:
        UserError: it is another study.
    """
    assert isinstance(planned.design, ConfirmDesign)
    block = there.settings.get("design") or {}
    arms = [arm["name"] for arm in block.get("arms", ())]
    asked = [arm.name for arm in planned.design.arms]
    if block.get("study") != search.id or arms != asked:
        raise UserError(
            f"{there.name} is no external reference of this {search.name}",
            "Move it to another folder, or leave --reference out.",
        )
    if tuple(block["seeds"]) != planned.design.seeds:
        raise UserError(
            f"{there.name} was begun with other seeds than the confirmation has",
            "Move it to another folder, or leave --reference out.",
        )
