"""Staging of a study for a cluster: check it, find its local inputs, and rewrite its YAML."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from tuner.invocation import program
from tuner.jobs.inputs import check_storage, elsewhere_of, inputs_of
from tuner.jobs.package import Contents
from tuner.run.checked import check_data, encoder_unless_away
from tuner.study import StudyConfig
from tuner.study.file import settings_of, written_study

FILE = "study.yaml"
"""The study's file in the folder where a job runs."""


@dataclass(frozen=True)
class Staged:
    """A study that is ready to run on a cluster.

    Attributes:
        study: the study as validated here, with this machine's paths.
        storage: the storage as the cluster understands it.
        contents: the contents of the package besides our code.
        prepare: shell commands to run before the job's own, or "".
        digest: a digest of its settings.
        command: the command that submits or resubmits it, without the cluster's address.
        notes: a line for each input that is packed or taken as a path of the cluster.
    """

    study: StudyConfig
    storage: str
    contents: Contents
    prepare: str
    digest: str
    command: str
    notes: tuple[str, ...]


def check_here(space: Path, overrides: Sequence[str], tell: Callable[[str], None]) -> None:
    """Check a study before packing it, with its data and encoder if they are on this machine.

    Args:
        space: the study's YAML.
        overrides: overrides of its keys.
        tell: called with a message if only the hub has the encoder and the hub does not answer.

    Raises:
        UserError: the study is invalid, its storage is a folder of this machine, or its data or
            encoder is missing or broken, or does not fit.
    """
    settings = settings_of(space, overrides)
    study = written_study(settings, space)
    check_storage(settings)
    elsewhere = elsewhere_of(study, settings)
    if "data" not in elsewhere:
        check_data(study)
    if "encoder" not in elsewhere:
        encoder_unless_away(study, tell)


def stage(space: Path, overrides: Sequence[str]) -> Staged:
    """Read a study's YAML, apply the overrides, and find its inputs on this machine.

    Raises:
        UserError: the study is invalid, or its storage is a folder of this machine.
    """
    settings = settings_of(space, overrides)
    study = written_study(settings, space)
    inputs = inputs_of(study, settings)
    text = yaml.safe_dump(inputs.settings, sort_keys=False, allow_unicode=True)
    options = [option for override in overrides for option in ("--set", override)]
    plain = json.dumps(inputs.settings, sort_keys=True, default=str)
    return Staged(
        study=study,
        storage=str(inputs.settings["storage"]),
        contents={FILE: text.encode(), **inputs.contents},
        prepare=inputs.prepare,
        digest=hashlib.sha256(plain.encode()).hexdigest()[:16],
        command=f"{program()} submit {shlex.join([str(space), *options])}",
        notes=inputs.notes,
    )
