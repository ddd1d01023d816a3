"""A database whose driver is missing: the distribution that has it is named, not the module."""

from __future__ import annotations

import pytest

from tuner.errors import UserError
from tuner.tracking import store


@pytest.mark.parametrize(
    ("module", "remedy"),
    [
        ("MySQLdb", "Install its driver: pip install mysqlclient"),
        ("psycopg2", "Install its driver: pip install psycopg2-binary"),
        ("somebodys_driver", "Install that module."),
    ],
)
def test_a_missing_driver(module: str, remedy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pip install MySQLdb` would install whatever a stranger may give that name."""

    def client(uri: str) -> None:
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    monkeypatch.setattr(store, "reach", lambda uri: None)
    monkeypatch.setattr(store, "_client", client)
    with pytest.raises(UserError, match=module) as refused:
        store.connect("mysql://db.example.org/runs")
    assert refused.value.remedy == remedy
