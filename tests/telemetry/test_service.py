from __future__ import annotations

import pytest

from services.errors import UserError
from services.settings import ServiceSettings
from services.telemetry import Heartbeat, run_service


class LostError(UserError):
    """An error with its own exit code."""

    exit_code = 1


def test_a_service_returns_what_its_work_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATUS_PORT", "8080")
    assert run_service("any", ServiceSettings, lambda settings: settings.status_port) == 8080


@pytest.mark.parametrize(("error", "code"), [(UserError("found x"), 2), (LostError("found x"), 1)])
def test_an_error_for_users_is_one_line_and_an_exit_code(
    error: UserError, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(_: ServiceSettings) -> int:
        raise error

    assert run_service("any", ServiceSettings, work) == code
    assert capsys.readouterr().err == "any: found x\n"


def test_a_wrong_setting_is_reported_before_the_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STATUS_PORT", "many")
    assert run_service("any", ServiceSettings, lambda _: pytest.fail("it worked")) == 2
    assert capsys.readouterr().err.startswith("any: STATUS_PORT is 'many'; expected ")


def test_another_error_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        run_service("any", ServiceSettings, lambda _: 1 // 0)


def test_a_loop_that_does_not_move_is_a_reason() -> None:
    assert Heartbeat(60.0).standstill() is None
    assert Heartbeat(-1.0, "the round").standstill() == "the round has not moved for 0 s"
