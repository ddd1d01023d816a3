"""Settings whose values are the names in a table, such as the kinds of fusion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema


class OneOf:
    """An annotation for a string that must be a name in a table at the time of the check.

    Args:
        table: the meaning of each name.
    """

    def __init__(self, table: Mapping[str, object]) -> None:
        self._table = table

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._known, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "enum": list(self._table)}

    def _known(self, name: str) -> str:
        if name not in self._table:
            *others, last = map(repr, self._table)
            allowed = {"expected": f"{', '.join(others)} or {last}"}
            raise PydanticCustomError("literal_error", "Input should be {expected}", allowed)
        return name
