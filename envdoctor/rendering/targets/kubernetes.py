"""Kubernetes: a Job that proves one node's GPUs, a DaemonSet that proves and watches those of every node."""

from __future__ import annotations

import re
from typing import Any

from envdoctor.errors import InputError
from envdoctor.planning.model import Stack
from envdoctor.rendering.containers import health, image_name, proof_statements, require_linux, service_name
from envdoctor.rendering.model import Options, RenderedFile
from envdoctor.rendering.templates import fill

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_SHARED_MEMORY = "8Gi"
_MEMORY = "24Gi"
_CPUS = 4
# NVIDIA/k8s-device-plugin docs/gpu-feature-discovery/README.md, "Generated Labels"; cuda.driver.major is deprecated there.
_PRESENT = "nvidia.com/gpu.present"
_MAJOR = "nvidia.com/gpu.compute.major"
_MINOR = "nvidia.com/gpu.compute.minor"
_DRIVER = "nvidia.com/cuda.driver-version.major"

Expression = tuple[str, str, str]


def render(stack: Stack, options: Options) -> tuple[RenderedFile, ...]:
    """job.yaml and daemonset.yaml."""
    require_linux(stack, "kubernetes")
    name = service_name(options)
    watch = f"{name[:57].rstrip('-')}-check"
    more: dict[str, Any] = {
        "name": name,
        "check_name": watch,
        "proof": proof_statements(stack),
        "health": health(stack),
        "image_name": image_name(stack, options),
        "arch": _ARCHITECTURES.get(stack.arch, stack.arch),
        "terms": node_terms(stack),
        "runtime_class": stack.on_gpu,
        "gpus": gpu_count(stack, options),
        "cpus": str(options.cpus or _CPUS),
        "memory": _MEMORY,
        "shared_memory": _SHARED_MEMORY,
    }
    job = fill(
        "kubernetes/job.yaml.j2",
        stack,
        options,
        what=f"A Job that proves that the GPUs of a node compute rightly with torch {stack.torch} ({stack.channel}).",
        run=(
            "envdoctor recipe docker makes the image; name yours below, with its registry",
            f"kubectl apply -f job.yaml && kubectl logs --follow job/{name}",
        ),
        **more,
    )
    daemons = fill(
        "kubernetes/daemonset.yaml.j2",
        stack,
        options,
        what=f"A DaemonSet that checks every node of this kind with torch {stack.torch} ({stack.channel}).",
        run=(
            "It holds the GPUs that it asks for until it is deleted: run it before work comes, or between.",
            f"kubectl apply -f daemonset.yaml && kubectl rollout status ds/{watch} --timeout 15m",
            f"kubectl logs -l app.kubernetes.io/name={name},app.kubernetes.io/component=check --prefix --tail=-1",
            "A pod is ready while its node passes; `kubectl get pods -o wide` names the nodes.",
            "kubectl delete -f daemonset.yaml",
        ),
        **more,
    )
    return RenderedFile("job.yaml", job), RenderedFile("daemonset.yaml", daemons)


def node_terms(stack: Stack) -> tuple[tuple[Expression, ...], ...]:
    """Which nodes will do, one term a compute capability: that capability and a driver new enough. Without GPUs in the plan,
    any node with one."""
    driver: tuple[Expression, ...] = ()
    if stack.min_driver is not None:
        driver = ((_DRIVER, "Gt", str(int(stack.min_driver.partition(".")[0]) - 1)),)
    capabilities = dict.fromkeys(gpu.capability for gpu in stack.gpus)
    if not capabilities:
        return (((_PRESENT, "In", "true"), *driver),)
    pairs = (capability.partition(".") for capability in capabilities)
    return tuple(((_MAJOR, "In", major), (_MINOR, "In", minor or "0"), *driver) for major, _, minor in pairs)


def gpu_count(stack: Stack, options: Options) -> int:
    """How many GPUs a pod asks for; Kubernetes has no "all", so that it is those of the plan. Raises InputError for what is no
    number."""
    if options.gpus == "all":
        return max(1, len(stack.gpus))
    if re.fullmatch(r"[1-9]\d{0,3}", options.gpus) is None:
        raise InputError(f"'{options.gpus}' is no number of GPUs; write 'all' or a number")
    return int(options.gpus)
