from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.charts import foreign
from tests.charts.foreign import ForeignError, foreign_crds

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.kubernetes
def test_each_file_is_a_definition() -> None:
    for file in foreign_crds():
        assert "\nkind: CustomResourceDefinition\n" in file.read_text("utf-8")


@pytest.mark.kubernetes
def test_a_module_that_is_not_the_pinned_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = tmp_path / "modules"
    shutil.copytree(foreign._MODULES, modules)
    sums = (modules / "go.sum").read_text("utf-8")
    others = re.sub(r" h1:....", " h1:AAAA", sums)
    (modules / "go.sum").write_text(others, encoding="utf-8")
    monkeypatch.setattr(foreign, "_MODULES", modules)
    with pytest.raises(ForeignError, match="checksum mismatch"):
        foreign_crds()
