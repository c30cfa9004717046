from __future__ import annotations

import pytest

from tools.local_kubernetes.debian import _debian_mirrors


@pytest.mark.parametrize(
    "text",
    [
        "deb http://mirror.example/debian bookworm main\n",
        "deb [signed-by=/a/key.gpg] http://mirror.example/debian bookworm main\n",
        "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm\n",
    ],
)
def test_mirror_is_that_of_the_machine(text: str) -> None:
    others = "# deb http://old.example/debian x main\ndeb http://a.example/debian-security x main\n"
    assert list(_debian_mirrors([others, text])) == ["http://mirror.example/debian"]
