"""The source for datasets on the Hugging Face hub, or in a folder with the hub's layout.

Only this module uses `datasets`. It never runs a dataset's script: `datasets` 5 refuses them. It
asks the hub for the commit once, at the start. If the hub does not answer, it reads the cache
(`HF_HOME`) at once, as with `HF_HUB_OFFLINE=1`, instead of retrying.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import datasets  # type: ignore[import-untyped]
import huggingface_hub
from datasets.packaged_modules.csv.csv import CsvConfig  # type: ignore[import-untyped]

from tuner.data.corpus import Split
from tuner.data.hub import HubReply, ask, offline, reason
from tuner.data.sources.cells import Cells, check_columns
from tuner.data.sources.records import values_of
from tuner.data.sources.tables import SourceTable, request, tables_of
from tuner.errors import UserError
from tuner.study.columns import LANGUAGE
from tuner.study.data import HubData

COMMIT = re.compile(r"[0-9a-f]{40}")
HUB = "hf://datasets/"
AS_WRITTEN = {"keep_default_na": False, "na_values": ""}
"""The settings of `datasets` for CSV; by default it reads 19 words as missing values."""


def tables(data: HubData, languages: list[str], train: list[str]) -> Iterator[SourceTable]:
    """Read all tables, subset by subset; a language without test has no test table.

    Raises:
        UserError: the dataset is neither reachable nor cached, or a subset, split, column or
            language is missing.
    """
    subsets = {data.subset: languages}
    if data.subset is not None and LANGUAGE in data.subset:
        subsets = {data.subset.replace(LANGUAGE, language): [language] for language in languages}
    answer = HubReply("", "") if data.is_folder else ask("dataset", data.name, data.revision)
    tested = False
    for subset, of_subset in subsets.items():
        with _quiet(), _offline(bool(answer.silence)), TemporaryDirectory() as scratch:
            cache = scratch if data.is_folder else None  # a folder's Parquet needs no second copy
            splits, revision = _load(data, subset, answer, cache)
            origin = f"{data.name}{revision and '@' + revision[:7]} {subset or 'default'}"
            pinned = not revision or COMMIT.fullmatch(data.revision or "")
            remark = "" if pinned else f"{data.name}: revision {revision} (data.revision pins it)"
            of_train = [language for language in of_subset if language in train]
            found = list(_read(data, splits, origin, remark, of_subset, of_train))
        tested |= any(table.split == "test" for table in found)
        yield from found
    if data.splits.test is not None and not tested:
        raise UserError(
            f"{data.name} has no split {data.splits.test!r}",
            "Correct data.splits.test, or set it to null.",
        )


def _load(
    data: HubData, subset: str | None, answer: HubReply, cache: str | None
) -> tuple[Any, str]:
    """Load the splits of a subset by name, and their commit ("" for a folder).

    Raises:
        UserError: the subset cannot be loaded, or the cache has a different revision of it.
    """
    path = data.name if data.is_folder else f"{HUB}{data.name}"
    try:
        builder = _builder(
            path, subset, answer.commit or data.revision, cache, bool(answer.silence)
        )
        builder.download_and_prepare()
        splits = builder.as_dataset()
    except UserError:
        raise
    except Exception as error:  # from any library that reads one of the hub's many formats
        _refuse(data, subset, answer.silence, error)
    if data.is_folder:
        return splits, ""
    found: str = builder.hash
    expected = answer.commit or (data.revision if COMMIT.fullmatch(data.revision or "") else found)
    if found != expected:  # offline, `datasets` loads whatever revision is cached
        raise UserError(
            f"the cache holds {data.name} {subset or ''} at revision {found}, not at {expected}, "
            f"and the hub {answer.silence or 'no longer answers'}",
            "Connect to the hub once, or name the cached revision in data.revision.",
        )
    return splits, found


def _builder(
    path: str, subset: str | None, revision: str | None, cache: str | None, cached: bool
) -> Any:
    """Return the builder of a subset; in CSV, `None` and `NA` are text, only a blank is missing.

    Builders of other formats do not accept the CSV settings. Offline (`cached`), the cache has a
    copy that was made either with these settings or without.

    Raises:
        UserError: the cache has the subset only as CSV that was read with different settings.
    """
    asked = {"path": path, "name": subset, "revision": revision, "cache_dir": cache}
    if cached:
        with suppress(ValueError):  # the cache has no copy made with these settings
            return datasets.load_dataset_builder(**asked, **AS_WRITTEN)
    builder = datasets.load_dataset_builder(**asked)
    if isinstance(builder.config, CsvConfig):
        return datasets.load_dataset_builder(**asked, **AS_WRITTEN)
    if cached and builder.info.builder_name == "csv":
        raise UserError(
            f"the cache holds {path.removeprefix(HUB)} {subset or ''} as CSV in which "
            f"None and NA were read as missing values",
            "Connect to the hub once: they are then read as text.",
        )
    return builder


def _refuse(data: HubData, subset: str | None, silence: str, error: Exception) -> NoReturn:
    named = f"{data.name} {subset}" if subset else data.name
    listed = re.search(r"vailable[\w ]*: \[(.*?)\]", str(error))  # in both messages of `datasets`
    if silence and (listed or isinstance(error, ConnectionError | FileNotFoundError)):
        cached = f" (cached subsets: {listed[1]})" if listed else ""
        raise UserError(
            f"{named} is not in the cache{cached}, and the hub {silence}",
            f"Load it once where the hub can be reached and copy HF_HOME here (HF_HOME is now "
            f"{datasets.config.HF_CACHE_HOME}; HF_HUB_OFFLINE=1 uses it without asking the hub), "
            f"or give the data as a folder or files: data.source: directory or files.",
        ) from error
    if isinstance(error, ValueError) and listed:
        raise UserError(
            f"{data.name} has {f'no subset {subset!r}' if subset else 'several subsets'}",
            f"Name one of {listed[1]} in data.subset; {LANGUAGE} there stands for a language.",
        ) from error
    raise UserError(
        f"{named} cannot be loaded: {reason(error)}",
        "It must hold only complete data files (Parquet, CSV, JSON), and no script.",
    ) from error


def _read(
    data: HubData, splits: Any, origin: str, remark: str, languages: list[str], train: list[str]
) -> Iterator[SourceTable]:
    plan: list[tuple[Split, str | None, list[str]]] = [
        ("train", data.splits.train, train),
        ("dev", data.splits.dev, languages),
        ("test", data.splits.test, languages),
    ]
    for split, name, of_split in plan:
        if name is None or not of_split or (split == "test" and name not in splits):
            continue
        if name not in splits:
            raise UserError(
                f"{origin} has no split {name!r}",
                f"Splits there: {', '.join(splits)}. Name yours in data.splits.",
            )
        cells, classes = _cells(f"{origin}/{name}", splits[name], data, split, of_split)
        yield from tables_of(cells, data, data.columns, split, of_split, classes, remark)


def _cells(
    origin: str, dataset: Any, data: HubData, split: Split, languages: list[str]
) -> tuple[Cells, tuple[str, ...]]:
    """Read the requested columns, and the label names in class order if the dataset has them."""
    asked = request(data.columns, "data.columns", split, languages, None)
    check_columns(origin, asked, dataset.column_names)
    names = [name for name in asked.names if name in dataset.column_names]
    table = dataset.select_columns(names).with_format("arrow")[:]
    columns = {name: values_of(table.column(name), origin, str(name)) for name in names}
    classes: tuple[str, ...] = ()
    for language in languages:
        column = data.columns.of(language).label
        label = dataset.features[column]
        if isinstance(label, datasets.ClassLabel):
            classes = tuple(label.names)
            columns[column] = [_class(value, classes) for value in columns[column]]
    return Cells(origin, columns, range(1, table.num_rows + 1), "row", asked), classes


def _class(value: Any, names: tuple[str, ...]) -> Any:
    """Return the name of the class with a number; a number without a class is kept as text."""
    if not isinstance(value, int):
        return value
    if value < 0:  # the label is withheld
        return None
    return names[value] if value < len(names) else f"number {value}"


@contextmanager
def _offline(on: bool) -> Iterator[None]:
    """Take the hub's library and `datasets`, which has its own switch, offline in a context."""
    before = datasets.config.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = before or on
    try:
        with offline(on):
            yield
    finally:
        datasets.config.HF_HUB_OFFLINE = before


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence progress bars and logs of `datasets` and the hub; errors are raised anyway."""
    loggers = [logging.getLogger(name) for name in ("datasets", "huggingface_hub")]
    levels = [logger.level for logger in loggers]
    bars = [
        library
        for library in (datasets.utils, huggingface_hub.utils)
        if not library.are_progress_bars_disabled()
    ]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    for library in bars:
        library.disable_progress_bars()
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        for library in bars:
            library.enable_progress_bars()
