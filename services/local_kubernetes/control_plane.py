"""An API server and its etcd: all of Kubernetes that keeps objects, and none that runs pods."""

from __future__ import annotations

import json
import signal
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self

from services.certificates import Authority, KeyPair
from services.local_kubernetes.programs import program
from services.this_machine import die_with_parent, free_ports

if TYPE_CHECKING:
    from collections.abc import Sequence

# Seen: 5 s on two idle cores.
START_SECONDS = 90.0
STOP_SECONDS = 20.0
_LOOK_SECONDS = 0.1
_LIFETIME = timedelta(days=7)

# Who wrote what, and what service accounts read; nothing of its content.
_AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: Metadata, verbs: [create, update, patch, delete, deletecollection]}
- {level: Metadata, userGroups: ["system:serviceaccounts"]}
- {level: None}
"""


class ControlPlaneError(Exception):
    """The API server did not start; the text has the end of its log."""


class ControlPlane:
    """etcd and kube-apiserver as processes that end with the one that started them.

    Stopped and started again it keeps its address, its data and its keys.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="fraud-kubernetes-")
        self.folder = Path(self._folder.name)
        self.port, self._etcd, self._peer = free_ports(3)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._authority = Authority.new("kubernetes", _LIFETIME)
        self._write_keys()
        self.admin = self._user("admin", "system:masters")
        """The administrator's credentials, as a kubeconfig has them."""
        self.kubeconfig = self.write_kubeconfig("admin", self.admin)

    @property
    def url(self) -> str:
        """The API server's address."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def audit_log(self) -> Path:
        """A JSON line for every write, and every read of a service account: user, verb, object."""
        return self.folder / "audit.log"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start, and return when the API server is ready.

        Raises:
            ControlPlaneError: it ended, or was not ready in time.
            ProgramError: a program cannot be built.

        """
        self._spawn("etcd", self._etcd_arguments())
        self._spawn("kube-apiserver", self._server_arguments())
        deadline = time.monotonic() + START_SECONDS
        while not self._ready():
            ended = any(process.poll() is not None for process in self._processes)
            if ended or time.monotonic() > deadline:
                raise ControlPlaneError(
                    f"Kubernetes did not start; its log ends:\n{self._log_tail()}"
                )
            time.sleep(_LOOK_SECONDS)

    def stop(self, *, kill: bool = False) -> None:
        """Stop and keep the data; with `kill` at once and unprepared, as a crash does."""
        for process in reversed(self._processes):  # the server before what it stores in
            process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes = []

    def close(self) -> None:
        """Stop and delete the data."""
        self.stop(kill=True)
        self._folder.cleanup()

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """Run kubectl and give what it printed.

        Raises:
            ControlPlaneError: it failed; the text is what it said.

        """
        return self.run_kubectl(*arguments, stdin=stdin).stdout

    def run_kubectl(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run kubectl and give all that it said.

        Raises:
            ControlPlaneError: it failed; the text is what it said.

        """
        done = subprocess.run(
            [str(program("kubectl")), "--kubeconfig", str(self.kubeconfig), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            env={"HOME": str(self.folder)},  # its cache of what the server serves
        )
        if done.returncode:
            raise ControlPlaneError(done.stderr)
        return done

    def write_kubeconfig(
        self, name: str, user: dict[str, str], namespace: str = "default", server: str = ""
    ) -> Path:
        """Write a kubeconfig for a user (its credentials, as a kubeconfig has them)."""
        cluster = {
            "server": server or self.url,
            "certificate-authority": str(self.folder / "ca.crt"),
        }
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "local", "cluster": cluster}],
            "users": [{"name": name, "user": user}],
            "contexts": [
                {
                    "name": "local",
                    "context": {"cluster": "local", "user": name, "namespace": namespace},
                }
            ],
            "current-context": "local",
        }
        path = self.folder / f"{name}.kubeconfig"
        path.write_text(json.dumps(config), encoding="utf-8")
        return path

    def _write_keys(self) -> None:
        hosts = ["127.0.0.1", "localhost", "kubernetes.default.svc"]
        self._write("apiserver", self._authority.issue("kube-apiserver", _LIFETIME, hosts=hosts))
        self._write("accounts", self._authority.issue("service-accounts", _LIFETIME))
        (self.folder / "ca.crt").write_bytes(self._authority.certificate)
        (self.folder / "audit-policy.yaml").write_text(_AUDIT_POLICY, encoding="utf-8")

    def _user(self, name: str, group: str) -> dict[str, str]:
        pair = self._authority.issue(name, _LIFETIME, organizations=[group])
        self._write(name, pair)
        return {
            "client-certificate": str(self.folder / f"{name}.crt"),
            "client-key": str(self.folder / f"{name}.key"),
        }

    def _write(self, name: str, pair: KeyPair) -> None:
        (self.folder / f"{name}.crt").write_bytes(pair.certificate)
        key = self.folder / f"{name}.key"
        key.touch(mode=0o600)
        key.write_bytes(pair.key)

    def _etcd_arguments(self) -> list[str]:
        return [
            f"--data-dir={self.folder}/etcd",
            f"--listen-client-urls=http://127.0.0.1:{self._etcd}",
            f"--advertise-client-urls=http://127.0.0.1:{self._etcd}",
            f"--listen-peer-urls=http://127.0.0.1:{self._peer}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{self._peer}",
            f"--initial-cluster=default=http://127.0.0.1:{self._peer}",
            "--unsafe-no-fsync",  # the data may be lost with the machine
            "--log-level=warn",
        ]

    def _server_arguments(self) -> list[str]:
        files = {
            "tls-cert-file": "apiserver.crt",
            "tls-private-key-file": "apiserver.key",
            "client-ca-file": "ca.crt",
            "service-account-key-file": "accounts.crt",
            "service-account-signing-key-file": "accounts.key",
            "audit-policy-file": "audit-policy.yaml",
            "audit-log-path": "audit.log",
        }
        return [
            *(f"--{option}={self.folder}/{file}" for option, file in files.items()),
            f"--etcd-servers=http://127.0.0.1:{self._etcd}",
            f"--secure-port={self.port}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--authorization-mode=RBAC",
            "--endpoint-reconciler-type=none",
            # It wants every namespace's default account, which the controller manager makes.
            "--disable-admission-plugins=ServiceAccount",
        ]

    def _spawn(self, name: str, arguments: Sequence[str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [str(program(name)), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the program, which then stops these
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl call, nothing that locks
            )
        self._processes.append(process)

    def _ready(self) -> bool:
        context = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        context.load_cert_chain(self.folder / "admin.crt", self.folder / "admin.key")
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5, context=context):  # noqa: S310 - our own address
                return True
        except (urllib.error.URLError, OSError):
            return False

    def _log_tail(self) -> str:
        text = (self.folder / "kube-apiserver.log").read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.rstrip().split("\n")[-15:])
