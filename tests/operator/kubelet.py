"""What kubelet does for a detector's pod, without one: a mounted ConfigMap, kept up to date.

A pod here is an object of the API whose process runs on this machine. Its mount
is refreshed as kubelet does it: when the pod changes (the operator's poke is
such a change), and else once a minute.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from typing import TYPE_CHECKING, Self

import httpx2
from lightkube import ApiError, Client, KubeConfig
from lightkube.models.core_v1 import Container, ContainerPort, PodSpec, PodStatus
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap, Pod
from lightkube.types import PatchType

from tests.support.streaming import until

if TYPE_CHECKING:
    from pathlib import Path

SYNC_SECONDS = 60.0
LABELS = {"app.kubernetes.io/component": "detector"}
RULES = "fraud-detection-rules"


class Pods:
    """Pods of a namespace, and the folders that the rules are mounted to."""

    def __init__(self, kubeconfig: Path, namespace: str, folder: Path) -> None:
        self.client = Client(KubeConfig.from_file(str(kubeconfig)), namespace=namespace)
        # lightkube reads with msgspec, which crashes where two threads ask for a type at once.
        for resource in (Pod, ConfigMap):
            list(self.client.list(resource))
        self._folder = folder
        self._due: dict[str, float] = {}
        self._seen: dict[str, str] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sync, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.client.close()

    def create(self, name: str, port: int) -> Path:
        """Make a pod whose status endpoint will be at a port; the file that is mounted."""
        container = Container(
            name="detector", image="none", ports=[ContainerPort(port, name="status")]
        )
        pod = Pod(
            metadata=ObjectMeta(name=name, labels=LABELS), spec=PodSpec(containers=[container])
        )
        self.client.create(pod)
        (self._folder / name).mkdir(parents=True)
        until(lambda: self._mount(name), "the ConfigMap is there to be mounted")
        return self._folder / name / "ruleset.json"

    def run(self, name: str) -> None:
        """Say that a pod's process runs."""
        status = PodStatus(phase="Running", podIP="127.0.0.1").to_dict()
        self.client.patch(Pod.Status, name, {"status": status}, patch_type=PatchType.MERGE)
        self._due[name] = time.monotonic() + SYNC_SECONDS

    def freeze(self, name: str) -> None:
        """Refresh a pod's mount no more, whatever changes; `run` ends that."""
        self._due.pop(name, None)

    def delete(self, name: str) -> None:
        """Take a pod away."""
        self._due.pop(name, None)
        self.client.delete(Pod, name, grace_period=0)

    def annotations(self, name: str) -> dict[str, str]:
        """A pod's annotations."""
        metadata = self.client.get(Pod, name).metadata
        assert metadata is not None
        return metadata.annotations or {}

    def _sync(self) -> None:
        while not self._stop.wait(0.03):  # a kubelet watches; between two looks is as good
            with contextlib.suppress(httpx2.HTTPError):  # the API server may be away
                for pod in self.client.list(Pod):
                    self._look(pod)

    def _look(self, pod: Pod) -> None:
        assert pod.metadata is not None
        assert pod.metadata.name is not None
        name, now = pod.metadata.name, time.monotonic()
        if name not in self._due:
            return
        changed = json.dumps(pod.metadata.annotations)
        refreshed = self._seen.get(name, changed) != changed
        self._seen[name] = changed
        if (refreshed or now > self._due[name]) and self._mount(name):
            self._due[name] = now + SYNC_SECONDS

    def _mount(self, name: str) -> bool:
        """Swap the mounted folder in one step, as kubelet does."""
        try:
            data = self.client.get(ConfigMap, RULES).data or {}
        except ApiError:
            return False
        mount = self._folder / name
        version = mount / f"..v{time.monotonic_ns()}"
        version.mkdir()
        for key, text in data.items():
            (version / key).write_text(text, encoding="utf-8")
            link = mount / key
            if not link.is_symlink():
                link.symlink_to(f"..data/{key}")
        new = mount / "..data_tmp"
        new.symlink_to(version.name)
        new.replace(mount / "..data")
        return True
