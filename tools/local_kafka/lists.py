"""`python -m tools.local_kafka.lists POM...`: write a list of jars beside each pom.

`make jars` runs it. Maven finds the jars that a pom needs at run time. The download needs no Maven.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


def main(poms: list[str]) -> int:
    """Write the list of each pom; the exit code is not 0 if Maven failed."""
    for pom in map(Path, poms):
        pom.with_suffix(".sha256").write_text(jars_of(pom), encoding="utf-8")
    return 0


def jars_of(pom: Path) -> str:
    """List the jars of a pom as `sha256sum` does, by their paths in Maven's repository layout.

    Raises:
        CalledProcessError: Maven failed; its output is on the terminal.
        ValueError: Two jars have the same file name, so one would overwrite the other in a folder.

    """
    with tempfile.TemporaryDirectory() as folder:
        goal = ["dependency:copy-dependencies", "-Dmdep.useRepositoryLayout=true"]
        more = ["-DincludeScope=runtime", f"-DoutputDirectory={folder}"]
        maven = shutil.which("mvn") or "mvn"
        subprocess.run([maven, "-q", "-B", "-f", str(pom), *goal, *more], check=True)
        jars = sorted(Path(folder).rglob("*.jar"))
        if len({jar.name for jar in jars}) < len(jars):
            raise ValueError(f"{pom}: two jars have the same file name")
        return "".join(
            f"{hashlib.sha256(jar.read_bytes()).hexdigest()}  {jar.relative_to(folder)}\n"
            for jar in jars
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
