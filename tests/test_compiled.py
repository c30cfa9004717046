"""Where the machine code is kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from services import compiled, windows

if TYPE_CHECKING:
    import pytest

PACKAGE = Path(windows.__file__).parent


def test_machine_code_is_kept_where_numba_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    folder = compiled.cache_folder(PACKAGE)
    assert folder is not None
    assert (folder.parent, folder.is_dir()) == (tmp_path, True)


def test_by_default_it_is_kept_among_the_users_caches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = compiled.cache_folder(PACKAGE)
    assert folder is not None
    assert folder.parent == tmp_path / "fraud-detection"


def test_each_package_has_a_folder_that_changes_with_its_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "kept"))
    package = tmp_path / "kernels"
    package.mkdir()
    source = package / "kernel.py"
    source.write_text("one = 1\n", encoding="utf-8")
    first = compiled.cache_folder(package)
    source.write_text("one = 2\n", encoding="utf-8")
    assert first is not None
    assert first.name.startswith("kernels-")
    assert compiled.cache_folder(package) not in {first, None}


def test_nothing_is_kept_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_folder = tmp_path / "a file"
    no_folder.touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(no_folder))
    assert compiled.cache_folder(PACKAGE) is None


def test_nothing_is_kept_among_the_sources() -> None:
    assert not list(PACKAGE.parent.rglob("*.nb?"))
