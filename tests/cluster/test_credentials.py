"""Ray's tokens: whether they are on, and who may read the file of one."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from tuner.cli import main
from tuner.cluster.credentials import check_tokens, make_private
from tuner.errors import UserError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_a_study_without_tokens_has_to_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    check_tokens(insecure=False)
    for mode in ("", "token", "Token "):
        monkeypatch.setenv("RAY_AUTH_MODE", mode)
        check_tokens(insecure=False)
    for mode in ("disabled", "Disabled", "off", "tokens"):
        monkeypatch.setenv("RAY_AUTH_MODE", mode)
        with pytest.raises(UserError, match=f"RAY_AUTH_MODE={mode} turns") as refused:
            check_tokens(insecure=False)
        assert "--insecure" in refused.value.remedy
        check_tokens(insecure=True)


@pytest.mark.parametrize(
    ("arguments", "goes_on_to"),
    [
        (("search", "missing.yaml"), "cannot read missing.yaml"),
        (("resume", "missing"), "there is no study missing"),
        (("confirm", "missing"), "there is no study missing"),
    ],
)
def test_asking_for_it_is_an_option(
    arguments: tuple[str, str],
    goes_on_to: str,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(home)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    for options, told in (([], "turns Ray's tokens off"), (["--insecure"], goes_on_to)):
        monkeypatch.setattr(sys, "argv", ["tuner", *arguments, *options])
        with pytest.raises(SystemExit) as left:
            main()
        assert left.value.code == 2 and told in capsys.readouterr().err


def test_a_token_that_others_can_read_is_made_private(home: Path) -> None:
    path = home / ".ray" / "auth_token"
    path.parent.mkdir()
    path.write_text("t")
    path.chmod(0o644)
    told = make_private()
    assert told is not None and "0644" in told and str(path) in told
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert make_private() is None


@pytest.mark.parametrize("mode", [0o644, 0o640])
def test_a_file_that_a_user_has_named_stays_as_it_is(
    mode: int, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The group may be meant to read it."""
    path = home / "of a team"
    path.touch()
    path.chmod(mode)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(path))
    told = make_private() or ""
    assert (str(path) in told) == (mode == 0o644)
    assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.parametrize("variable", ["RAY_AUTH_TOKEN=t", "RAY_AUTH_MODE=disabled"])
def test_a_file_that_is_not_used_is_left_alone(
    variable: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = home / ".ray" / "auth_token"
    path.parent.mkdir()
    path.touch()
    path.chmod(0o644)
    monkeypatch.setenv(*variable.split("="))
    assert make_private() is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_one_that_is_not_ours_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / ".ray").mkdir()
    (home / ".ray" / "auth_token").touch(0o644)

    def refuse(path: Path, mode: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refuse)
    told = make_private()
    assert told is not None and "chmod 600" in told and "Operation not permitted" in told


def test_no_home_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/dev/null")
    assert make_private() is None
