"""The rule that nothing is skipped in CI, shown to fail."""

from __future__ import annotations

from pathlib import Path

import pytest

import tests.conftest

SKIPPED_TEST = "import pytest\ndef test_it(): pytest.skip('no java')"
SKIPPED_MODULE = "import pytest\npytest.skip('no java', allow_module_level=True)"
EXPECTED_FAILURE = "import pytest\n@pytest.mark.xfail\ndef test_it(): assert False"


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A test suite of its own with the conftest of this one."""
    pytester.makeconftest(Path(tests.conftest.__file__).read_text(encoding="utf-8"))
    return pytester


def test_a_skipped_test_fails_in_ci(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    suite.makepyfile(SKIPPED_TEST)
    result = suite.runpytest_inprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*skipped in CI:*no java*"])


def test_a_skipped_module_fails_in_ci(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    suite.makepyfile(SKIPPED_MODULE)
    suite.runpytest_inprocess().assert_outcomes(errors=1)


def test_an_expected_failure_is_no_skip(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    suite.makepyfile(EXPECTED_FAILURE)
    suite.runpytest_inprocess().assert_outcomes(xfailed=1)


def test_elsewhere_a_skip_is_a_skip(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    suite.makepyfile(SKIPPED_TEST)
    suite.runpytest_inprocess().assert_outcomes(skipped=1)
