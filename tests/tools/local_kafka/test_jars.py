"""Jars of a list, from a real HTTP server in place of a Maven repository."""

from __future__ import annotations

import hashlib
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tools.local_kafka import jars
from tools.local_kafka.errors import DistributionError
from tools.local_kafka.jars import provide

if TYPE_CHECKING:
    from collections.abc import Iterator

JARS = {f"org/one/{name}/1/{name}-1.jar": name.encode() * 50_000 for name in ("a", "b", "c")}


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder, with ranges, and fails as its server asks it to."""

    server: Repository

    def do_GET(self) -> None:
        """Answer, or fail."""
        self.server.asked.append(self.path)
        if self.server.failures:
            failure = self.server.failures.pop()
            if failure:
                self.send_error(failure)
                return
            self._send(half=True)
            return
        self._send(half=False)

    def _send(self, *, half: bool) -> None:
        file = Path(self.directory, self.path[1:])
        if not file.exists():
            self.send_error(404)
            return
        content = file.read_bytes()
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        self.server.begun.append(start)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start : len(content) // 2 if half else None])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Repository(ThreadingHTTPServer):
    """A Maven repository with a folder's files.

    `failures` are what the next answers are, from the last on: a status, or 0 for half of a file.
    """

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        self.folder = folder
        self.failures: list[int] = []
        self.asked: list[str] = []
        self.begun: list[int] = []


@contextmanager
def serving(folder: Path) -> Iterator[Repository]:
    with Repository(folder) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    """A repository with all jars, that this machine is set up for, with an empty cache and home."""
    for path, content in JARS.items():
        write(tmp_path / "repository" / path, content)
    monkeypatch.setenv("FRAUD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(jars, "_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(jars, "_AT_ONCE", 1)
    with serving(tmp_path / "repository") as server:
        monkeypatch.setenv("MAVEN_REPOSITORY", f"http://127.0.0.1:{server.server_port}/")
        yield server


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """The list of all jars."""
    lines = [f"{hashlib.sha256(content).hexdigest()}  {path}\n" for path, content in JARS.items()]
    file = tmp_path / "three.sha256"
    file.write_text("".join(lines), encoding="utf-8")
    return file


def write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


EXPECTED = {path.rpartition("/")[2]: content for path, content in JARS.items()}


def test_the_jars_are_downloaded_once(
    repository: Repository, listed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = {provide(listed), provide(listed)}
    assert contents(folders.pop()) == EXPECTED
    assert folders == set()
    assert sorted(repository.asked) == sorted(f"/{path}" for path in JARS)
    assert capsys.readouterr().err.count("downloading 3 jars") == 1


@pytest.mark.usefixtures("repository")
def test_several_processes_at_once_get_whole_folders(listed: Path) -> None:
    found: list[dict[str, bytes]] = []
    threads = [
        threading.Thread(target=lambda: found.append(contents(provide(listed)))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [EXPECTED] * 4


@pytest.mark.parametrize("failure", [503, 0], ids=["unavailable", "connection cut"])
def test_a_failed_answer_is_asked_for_again(
    failure: int, repository: Repository, listed: Path
) -> None:
    repository.failures = [failure] * 2
    assert contents(provide(listed)) == EXPECTED


def test_an_interrupted_download_goes_on_where_it_stopped(
    repository: Repository, listed: Path
) -> None:
    repository.failures = [0]
    provide(listed)
    assert sorted(repository.begun) == [0, 0, 0, 25_000]


def test_after_a_failure_only_what_is_missing_is_downloaded(
    repository: Repository, listed: Path
) -> None:
    last = repository.folder / list(JARS)[-1]
    last.rename(last.with_suffix(".away"))
    with pytest.raises(DistributionError, match="the answer was 404"):
        provide(listed)
    last.with_suffix(".away").rename(last)
    repository.asked.clear()
    assert contents(provide(listed)) == EXPECTED
    assert repository.asked == [f"/{list(JARS)[-1]}"]


def test_a_jar_with_another_checksum_is_refused(
    repository: Repository, listed: Path, tmp_path: Path
) -> None:
    path = next(iter(JARS))
    write(repository.folder / path, b"something else")
    found, expected = hashlib.sha256(b"something else"), hashlib.sha256(JARS[path])
    with pytest.raises(DistributionError) as caught:
        provide(listed)
    assert f"its SHA-256 is {found.hexdigest()}; expected {expected.hexdigest()}" in str(
        caught.value
    )
    assert not list((tmp_path / "cache").glob("**/a-1.jar*"))


def test_a_jar_that_maven_has_is_copied_and_another_is_not(
    repository: Repository, listed: Path, tmp_path: Path
) -> None:
    right, wrong, _ = JARS
    write(tmp_path / "home/.m2/repository" / right, JARS[right])
    write(tmp_path / "home/.m2/repository" / wrong, b"half of it")
    assert contents(provide(listed)) == EXPECTED
    assert f"/{right}" not in repository.asked
    assert f"/{wrong}" in repository.asked


def test_without_a_network_the_message_names_what_to_set(
    listed: Path, repository: Repository
) -> None:
    repository.shutdown()
    repository.server_close()
    with pytest.raises(DistributionError) as caught:
        provide(listed)
    assert "Connection refused" in str(caught.value)
    assert "check the network, or set MAVEN_REPOSITORY" in str(caught.value)


@pytest.mark.usefixtures("repository")
def test_a_full_disk_is_not_taken_for_a_broken_network(listed: Path, tmp_path: Path) -> None:
    # Each write to this device fails with ENOSPC.
    parts = provide(listed).with_suffix(".part")
    parts.with_suffix("").rename(tmp_path / "away")
    parts.mkdir()
    for name in EXPECTED:
        (parts / f"{name}.part").symlink_to("/dev/full")
    with pytest.raises(DistributionError, match="No space left on device; make room there, or set"):
        provide(listed)
