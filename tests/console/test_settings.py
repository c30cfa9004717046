from __future__ import annotations

import pytest

from services.console.settings import ConsoleSettings, Endpoint, endpoints
from services.settings import SettingError, load


def test_detectors_are_hosts_and_ports() -> None:
    assert endpoints("a:1, b.c:65535") == [Endpoint("a", 1), Endpoint("b.c", 65535)]
    assert endpoints("[::1]:8080") == [Endpoint("::1", 8080)]
    assert endpoints(ConsoleSettings().detectors) == [Endpoint("localhost", 8080)]


@pytest.mark.parametrize("text", ["a", ":1", "a:", "a:0", "a:65536", "a:x", "a:1,", "a:²"])
def test_what_is_no_host_and_port_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="expected host:port, or several with commas between"):
        endpoints(text)


def test_a_misspelt_name_is_refused_with_the_right_one() -> None:
    with pytest.raises(SettingError, match=r"DETECTOR is not a setting; did you mean DETECTORS\?"):
        load(ConsoleSettings, {"DETECTOR": "a:1"})
