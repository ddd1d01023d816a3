"""Prices of nodes: a table that the user gives; the tool neither looks up nor includes prices."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from tuner.errors import UserError
from tuner.study.plain_yaml import read
from tuner.study.trial import Part


class Prices(Part):
    """A price table: YAML with these three keys."""

    currency: str = Field(min_length=1, max_length=10, description="currency, such as USD")
    as_of: str = Field(pattern=r"^\d{4}-\d{2}$", description="month of the prices, such as 2026-11")
    per_hour: dict[str, Annotated[float, Field(ge=0)]] = Field(
        description="price of one node, by the name of its type"
    )


def load_prices(path: Path) -> Prices:
    """Read a price table.

    Raises:
        UserError: the file cannot be read, or is not a valid price table.
    """
    try:
        return Prices.model_validate(read(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(
            f"{path} is not a price table: {where}: {first['msg']}",
            "A price table holds three keys:  currency: USD  as_of: 2026-11  "
            "per_hour: {gpu-spot: 0.35}",
        ) from None
