"""An API server and its etcd: the part of Kubernetes that stores objects, without pods."""

from __future__ import annotations

import ipaddress
import json
import os
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
from services.errors import UserError
from tools.local_kubernetes.programs import program
from tools.this_machine import die_with_parent, free_ports

if TYPE_CHECKING:
    from collections.abc import Sequence

# Seen: 5 s on two idle cores.
START_SECONDS = 300.0
STOP_SECONDS = 20.0
_LOOK_SECONDS = 0.1
# Certificates must not expire in a cluster that someone leaves running.
_LIFETIME = timedelta(days=365)

# Who wrote what, and what service accounts read, without contents.
_AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: Metadata, verbs: [create, update, patch, delete, deletecollection]}
- {level: Metadata, userGroups: ["system:serviceaccounts"]}
- {level: None}
"""


class ControlPlaneError(UserError):
    """The API server did not start; the text has the end of its log."""


class ControlPlane:
    """etcd and kube-apiserver as processes that end with their parent.

    After a stop and a start it has the same address, data and keys.

    Args:
        address: Address that the API server listens on.
        services: Network of the Services' addresses.
        folder: Existing folder for its data; by default a new one.

    """

    def __init__(
        self,
        address: str = "127.0.0.1",
        services: str = "10.96.0.0/16",
        folder: Path | None = None,
    ) -> None:
        self._folder = None if folder else tempfile.TemporaryDirectory(prefix="fraud-kubernetes-")
        self.folder = folder or Path(self._folder.name if self._folder else "")
        self.address, self.services = address, ipaddress.ip_network(services)
        self.port, self._etcd, self._peer = free_ports(3)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._authority = Authority.new("kubernetes", _LIFETIME)
        self._write_keys()
        self.admin = self._user("admin", "system:masters")
        """Credentials of the administrator, in the format of a kubeconfig."""
        self.kubeconfig = self.write_kubeconfig("admin", self.admin)

    @property
    def url(self) -> str:
        """URL of the API server."""
        return f"https://{self.address}:{self.port}"

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
            ControlPlaneError: It exited, or was not ready in time.
            ProgramError: A program cannot be built.

        """
        self._spawn("etcd", self._etcd_arguments())
        self._spawn("kube-apiserver", self._server_arguments())
        deadline = time.monotonic() + START_SECONDS
        while not self._ready():
            ended = any(process.poll() is not None for process in self._processes.values())
            if ended or time.monotonic() > deadline:
                log = self._log_end("kube-apiserver", 15)
                raise ControlPlaneError(f"Kubernetes did not start; its log ends:\n{log}")
            time.sleep(_LOOK_SECONDS)

    def stop(self, *, kill: bool = False) -> None:
        """Stop and keep the data; with `kill` at once and without a shutdown, as in a crash."""
        for process in reversed(self._processes.values()):  # the server before its storage
            process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes = {}

    def close(self) -> None:
        """Stop and delete the data."""
        self.stop(kill=True)
        if self._folder:
            self._folder.cleanup()

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """Run kubectl and return its standard output.

        Raises:
            ControlPlaneError: It failed; the text is its output.

        """
        return self.run_kubectl(*arguments, stdin=stdin).stdout

    def run_kubectl(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run kubectl and return the completed process with all of its output.

        Raises:
            ControlPlaneError: It failed; the text is its output.

        """
        done = subprocess.run(
            [str(program("kubectl")), "--kubeconfig", str(self.kubeconfig), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            env={"HOME": str(self.folder)},  # for its cache of the server's resources
        )
        if done.returncode:
            raise ControlPlaneError(done.stderr)
        return done

    def write_kubeconfig(
        self, name: str, user: dict[str, str], namespace: str = "default", server: str = ""
    ) -> Path:
        """Write a kubeconfig for a user, with credentials in the format of a kubeconfig."""
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
        names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"]
        # The Service `kubernetes` has the first address of the network.
        hosts = [self.address, *names, str(next(self.services.hosts()))]
        self._issue("apiserver", hosts)
        self._issue("accounts", [])
        (self.folder / "ca.crt").write_bytes(self._authority.certificate)
        (self.folder / "audit-policy.yaml").write_text(_AUDIT_POLICY, encoding="utf-8")

    def _issue(self, name: str, hosts: list[str]) -> None:
        self._write(name, self._authority.issue(name, _LIFETIME, hosts=hosts))

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
            "--unsafe-no-fsync",  # the data need not survive a crash of the machine
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
            f"--bind-address={self.address}",
            f"--advertise-address={self.address}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-cluster-ip-range={self.services}",
            *self._server_mode(),
        ]

    def _server_mode(self) -> list[str]:
        return [
            "--authorization-mode=RBAC",
            "--endpoint-reconciler-type=none",
            # It requires every namespace's default account, which the controller manager creates.
            "--disable-admission-plugins=ServiceAccount",
        ]

    def _environment(self) -> dict[str, str]:
        return dict(os.environ)

    def _command(self, name: str, arguments: Sequence[str]) -> list[str]:
        return [str(program(name)), *arguments]

    def _spawn(self, name: str, arguments: Sequence[str]) -> None:
        self._run(name, self._command(name, arguments))

    def _run(self, name: str, command: Sequence[str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
                start_new_session=True,  # Ctrl-C goes to the program, which then stops these
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl call, which takes no lock
            )
        self._processes[name] = process

    def _ready(self) -> bool:
        context = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        context.load_cert_chain(self.folder / "admin.crt", self.folder / "admin.key")
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5, context=context):  # noqa: S310 - the address is our own
                return True
        except (urllib.error.URLError, OSError):
            return False

    def _log_end(self, name: str, lines: int) -> str:
        path = self.folder / f"{name}.log"
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        return "\n".join(text.rstrip().split("\n")[-lines:])
