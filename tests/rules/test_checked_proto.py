from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_the_reader_of_checked_trees_is_what_its_proto_gives(tmp_path: Path) -> None:
    proto = "services/rules/checked.proto"
    options = ["-I.", f"--python_out={tmp_path}", f"--pyi_out={tmp_path}"]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *options, proto], check=True)
    for name in ("services/rules/checked_pb2.py", "services/rules/checked_pb2.pyi"):
        made, kept = tmp_path / name, Path(name)
        assert made.read_text(encoding="utf-8") == kept.read_text(encoding="utf-8"), "make proto"
