"""The configuration files of a node: pure functions from its addresses and folders to text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tools.local_kubernetes.machine import CNI_FOLDER

if TYPE_CHECKING:
    from pathlib import Path

    from tools.local_kubernetes.network import Network

# Kernel settings of this machine that kubelet writes. In the node, files replace them.
_KERNEL_SETTINGS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}


def preparation(folder: Path) -> str:
    """Write the files that replace this machine's, and return the script that mounts them."""
    lines = ["mount -t tmpfs tmpfs /run", "echo 1 > /proc/sys/net/ipv4/ip_forward"]
    # The fixed paths of kubelet, the network plugins and the logs of pods.
    for place in ("/var/lib", "/var/log"):
        own = folder / place[1:]
        own.mkdir(parents=True)
        lines.append(f"mount --bind {own} {place}")
    for name, value in _KERNEL_SETTINGS.items():
        own = folder / name.replace("/", "-")
        own.write_text(f"{value}\n", encoding="ascii")
        lines.append(f"if [ -e /proc/sys/{name} ]; then mount --bind {own} /proc/sys/{name}; fi")
    return "\n".join(lines)


def containerd(folder: Path, pause: str) -> str:
    """Return containerd's configuration."""
    return f"""\
version = 2
root = "{folder}/containerd"
state = "/run/containerd"
[grpc]
  address = "{folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  # Root in a virtual machine or a container may lack CAP_SYS_RESOURCE, and no pod would start.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{CNI_FOLDER}"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"""


def pod_network(network: Network) -> str:
    """Return the configuration of the network plugins.

    Each pod has its own cable, and there is no bridge: packets of a pod, even to a neighbouring
    pod, are routed, and so pass kube-proxy's rules without br_netfilter.
    """
    ipam = {
        "type": "host-local",
        "ranges": [[{"subnet": network.pods}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    plugins = [
        {"type": "ptp", "ipMasq": False, "ipam": ipam},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    return json.dumps({"cniVersion": "1.0.0", "name": "pods", "plugins": plugins})


def kubelet(folder: Path, network: Network, control_group: str) -> str:
    """Return kubelet's configuration, as JSON, which is YAML."""
    return json.dumps(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": network.node,
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": f"{folder}/ca.crt"},
            },
            "authorization": {"mode": "Webhook"},
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{control_group}",
            "clusterDNS": [network.dns],
            "clusterDomain": "cluster.local",
            "containerRuntimeEndpoint": f"unix://{folder}/containerd.sock",
            "evictionHard": {
                "memory.available": "100Mi",
                "nodefs.available": "1%",
                "imagefs.available": "1%",
            },
            "failCgroupV1": False,
            # Images are loaded, not pulled: on a disk that is nearly full, kubelet would delete
            # those that no pod uses at that moment, the pause image among them.
            "imageGCHighThresholdPercent": 100,
            "failSwapOn": False,
            "resolvConf": f"{folder}/resolv.conf",
            "shutdownGracePeriod": "0s",
            "tlsCertFile": f"{folder}/kubelet.crt",
            "tlsPrivateKeyFile": f"{folder}/kubelet.key",
            "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        }
    )


_COREFILE = """\
.:53 {
  errors
  ready
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    pods insecure
    ttl 5
  }
  cache 5
}
"""


def coredns(image: str, address: str) -> str:
    """Return the manifests of the cluster's DNS, as a JSON list."""
    name = {"name": "coredns", "namespace": "kube-system"}
    role = {"name": "system:coredns"}
    labels = {"k8s-app": "kube-dns"}
    read = ["list", "watch"]
    container = {
        "name": "coredns",
        "image": image,
        "imagePullPolicy": "Never",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns"}],
    }
    pod = {
        "serviceAccountName": "coredns",
        "dnsPolicy": "Default",
        # Allows port 53 without a capability.
        "securityContext": {
            "sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]
        },
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": "coredns"}}],
    }
    resources = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": name},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": role,
            "rules": [
                {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": read},
                {
                    "apiGroups": ["discovery.k8s.io"],
                    "resources": ["endpointslices"],
                    "verbs": read,
                },
            ],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": role,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", **role},
            "subjects": [{"kind": "ServiceAccount", **name}],
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": name,
            "data": {"Corefile": _COREFILE},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": name,
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kube-dns", "namespace": "kube-system"},
            "spec": {
                "clusterIP": address,
                "selector": labels,
                "ports": [
                    {"name": "dns", "port": 53, "protocol": "UDP"},
                    {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
                ],
            },
        },
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": resources})
