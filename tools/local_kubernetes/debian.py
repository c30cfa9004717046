"""`debian:trixie-slim`: pulled, or made from Debian's packages if no registry of images answers.

The stand-in includes what this machine needs to reach package registries (the certificates of its
authorities and pip's settings), which are not in the project's Dockerfile.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tools.local_kubernetes.docker import Docker, DockerError
from tools.local_kubernetes.machine import command, environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

IMAGE = "debian:trixie-slim"
_SUITE = "trixie"
_PULL_SECONDS = 120.0
_CERTIFICATES = "/etc/machine-certificates.crt"
_LABEL = "fraud-detection.base"
# The settings of pip about where and how to get packages.
_PIP = ("INDEX_URL", "EXTRA_INDEX_URL", "TRUSTED_HOST", "DEFAULT_TIMEOUT", "RETRIES", "PROXY")
_PROXIES = ("http_proxy", "https_proxy", "no_proxy")
# As in the published image: packages, also those that are installed later, omit these files.
_SLIM = ("doc", "man", "info", "locale", "groff", "lintian", "linda")
_SLIM_RULES = (
    "".join(f"path-exclude /usr/share/{name}/*\n" for name in _SLIM)
    + "path-include /usr/share/doc/*/copyright\n"
)
_APT_RULES = """\
Acquire::Languages "none";
Acquire::Retries "3";
Apt::AutoRemove::SuggestsImportant "false";
"""


def provide(docker: Docker, say: Callable[[str], None]) -> None:
    """Provide the base image: the published one, or a stand-in.

    Raises:
        DockerError: Neither is available.

    """
    if docker.has(IMAGE) and (not docker.is_ours or _label(docker) in {"", _key()}):
        return
    say(f"pulling {IMAGE}")
    try:
        docker.run("pull", "--quiet", IMAGE, seconds=_PULL_SECONDS)
    except DockerError:
        if not docker.is_ours:
            raise
    else:
        return
    say(f"no registry has it for us: making {IMAGE} from Debian's packages")
    _stand_in(docker)


def _stand_in(docker: Docker) -> None:
    with tempfile.TemporaryDirectory(prefix="fraud-debian-", dir="/var/tmp") as temporary:
        root = Path(temporary, "root")
        _debootstrap(root)
        _configure(root)
        archive = Path(temporary, "root.tar")
        subprocess.run(
            command("tar", "--create", f"--file={archive}", f"--directory={root}", "."),
            check=True,
        )
        changes = [f"LABEL {_LABEL}={_key()}", 'CMD ["bash"]']
        changes += [f"ENV {name}={value}" for name, value in _variables().items()]
        with archive.open("rb") as file:
            docker.run(
                "import", *(f"--change={change}" for change in changes), "-", IMAGE, stdin=file
            )


def _debootstrap(root: Path) -> None:
    done = subprocess.run(
        # debootstrap has a default mirror.
        command("debootstrap", "--variant=minbase", _SUITE, str(root), *filter(None, [_mirror()])),
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    if done.returncode:
        tail = "\n".join(done.stdout.strip().split("\n")[-5:])
        raise DockerError(f"debootstrap made no Debian {_SUITE}:\n{tail}\n{done.stderr}")


def _configure(root: Path) -> None:
    (root / "etc/dpkg/dpkg.cfg.d/slim").write_text(_SLIM_RULES, encoding="ascii")
    (root / "etc/apt/apt.conf.d/slim").write_text(_APT_RULES, encoding="ascii")
    if mirror := _mirror():
        security = mirror.rstrip("/").removesuffix("/debian") + "/debian-security"
        sources = (
            f"deb {mirror} {_SUITE} main\n"
            f"deb {mirror} {_SUITE}-updates main\n"
            f"deb {security} {_SUITE}-security main\n"
        )
        (root / "etc/apt/sources.list").write_text(sources, encoding="ascii")
    certificates = _certificates()
    if certificates.exists():
        shutil.copy(certificates, root / _CERTIFICATES[1:])
    if Path("/etc/pip.conf").exists():
        shutil.copy("/etc/pip.conf", root / "etc/pip.conf")
    for pattern in ("var/cache/apt/*", "var/lib/apt/lists/*", "var/log/*"):
        for path in root.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name in _SLIM:
        for path in (root / "usr/share" / name).rglob("*"):
            if path.is_file() and path.name != "copyright":
                path.unlink()


def _variables() -> dict[str, str]:
    names = [*(f"PIP_{name}" for name in _PIP), *_PROXIES]
    found = {name: os.environ[name] for name in names if os.environ.get(name)}
    if _certificates().exists():
        found |= {"PIP_CERT": _CERTIFICATES, "SSL_CERT_FILE": _CERTIFICATES}
    return found


def _certificates() -> Path:
    return Path(os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt")


def _key() -> str:
    """Return a key of the stand-in's ingredients, so that it differs between machines."""
    files = [path for path in (_certificates(), Path("/etc/pip.conf")) if path.exists()]
    parts = [_mirror(), _SLIM_RULES, _APT_RULES, repr(_variables())]
    parts += [path.read_text(errors="replace") for path in files]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _label(docker: Docker) -> str:
    template = f'{{{{index .Config.Labels "{_LABEL}"}}}}'
    return docker.run("image", "inspect", "--format", template, IMAGE).strip()


def _mirror() -> str:
    """Return the mirror of this machine's own packages; empty if the machine is not a Debian."""
    folder = Path("/etc/apt")
    files = [folder / "sources.list", *sorted(folder.glob("sources.list.d/*"))]
    texts = [
        path.read_text(errors="replace")
        for path in files
        if path.suffix in {".list", ".sources"} and path.exists()
    ]
    return next(_debian_mirrors(texts), "")


def _debian_mirrors(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for line in text.splitlines():
            if line.startswith(("deb ", "URIs:")):
                yield from re.findall(r"https?://\S+/debian/?(?=\s|$)", line)
