"""The kubernetes recipe: the API's schema, yamllint, and which nodes are chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from envdoctor.errors import InputError
from envdoctor.planning.model import Stack
from envdoctor.rendering.catalogue import render
from envdoctor.rendering.containers import proof_statements
from envdoctor.rendering.model import Options
from envdoctor.rendering.targets.kubernetes import node_terms
from tests.rendering.test_docker import STACKS
from tests.rendering.tools import YAMLLINT, check_with

KINDS = ("Job", "DaemonSet")


def resources(stack: Stack, **options: Any) -> dict[str, dict[str, Any]]:
    loaded = [yaml.safe_load(file.text) for file in render("kubernetes", stack, Options(**options))]
    return {resource["kind"]: resource for resource in loaded}


def pod(stack: Stack, kind: str, **options: Any) -> dict[str, Any]:
    found = resources(stack, **options)[kind]["spec"]["template"]["spec"]
    assert isinstance(found, dict)
    return found


def test_every_file_passes_the_schema_and_yamllint(tmp_path: Path) -> None:
    files = []
    for name, stack in STACKS.items():
        for file in render("kubernetes", stack, Options(name="My stack")):
            files.append(tmp_path / f"{name}-{file.path}")
            files[-1].write_text(file.text)
    check_with("kubernetes-validate", "--strict", "--quiet", files=files)
    check_with("yamllint", "--strict", "-d", YAMLLINT, files=files)


@pytest.mark.parametrize("kind", KINDS)
def test_gpus_are_limits_and_as_many_as_the_plan_has(kind: str) -> None:
    limits = pod(STACKS["h100x8"], kind)["containers"][0]["resources"]["limits"]
    assert limits["nvidia.com/gpu"] == 8
    assert pod(STACKS["h100x8"], kind, gpus="2")["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 2


def test_gpus_that_are_no_number_are_refused() -> None:
    with pytest.raises(InputError, match="'some' is no number of GPUs"):
        render("kubernetes", STACKS["h100x8"], Options(gpus="some"))


def test_nodes_are_chosen_by_capability_and_by_a_driver_new_enough() -> None:
    stack = msgspec.structs.replace(STACKS["mixed"], min_driver="570.26")
    new_enough = ("nvidia.com/cuda.driver-version.major", "Gt", "569")
    major, minor = "nvidia.com/gpu.compute.major", "nvidia.com/gpu.compute.minor"
    assert node_terms(stack) == (
        ((major, "In", "12"), (minor, "In", "0"), new_enough),
        ((major, "In", "8"), (minor, "In", "6"), new_enough),
    )
    terms = pod(stack, "Job")["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert [len(term["matchExpressions"]) for term in terms["nodeSelectorTerms"]] == [3, 3]


def test_without_gpus_in_the_plan_any_node_with_one_will_do() -> None:
    assert node_terms(STACKS["pypi-no-gpu"])[0][0] == ("nvidia.com/gpu.present", "In", "true")


@pytest.mark.parametrize("kind", KINDS)
def test_a_plan_for_the_cpu_asks_for_no_gpu(kind: str) -> None:
    spec = pod(STACKS["no-gpu"], kind)
    assert not {"affinity", "tolerations"} & set(spec)
    assert "nvidia.com/gpu" not in spec["containers"][0]["resources"]["limits"]


@pytest.mark.parametrize("kind", KINDS)
def test_shared_memory_is_memory_and_within_the_limit(kind: str) -> None:
    spec = pod(STACKS["rtx5090"], kind)
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert volumes["shm"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "8Gi"}
    assert {"name": "shm", "mountPath": "/dev/shm"} in spec["containers"][0]["volumeMounts"]
    assert spec["containers"][0]["resources"]["limits"]["memory"] == "24Gi"


@pytest.mark.parametrize("kind", KINDS)
def test_pods_pass_the_restricted_standard(kind: str) -> None:
    """Pod Security Standards, "restricted": what clusters may insist on."""
    spec = pod(STACKS["rtx5090"], kind)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    container = spec["containers"][0]["securityContext"]
    assert container == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


@pytest.mark.parametrize("kind", KINDS)
def test_the_images_entry_point_stays(kind: str) -> None:
    assert "command" not in pod(STACKS["rtx5090"], kind)["containers"][0]


def test_the_job_proves_and_does_not_try_again() -> None:
    job = resources(STACKS["rtx5090"])["Job"]["spec"]
    assert job["backoffLimit"] == 0
    assert job["template"]["spec"]["restartPolicy"] == "Never"
    assert "args" not in job["template"]["spec"]["containers"][0], "the image's own command is the proof"


def test_a_node_is_ready_while_it_passes() -> None:
    container = pod(STACKS["rtx5090"], "DaemonSet")["containers"][0]
    program = "\n".join(proof_statements(STACKS["rtx5090"]))
    assert container["args"][-1] == f"python -c '\n{program}\n' && touch /tmp/proved && exec sleep infinity\n"
    assert container["readinessProbe"]["exec"]["command"] == ["sh", "-c", "test -e /tmp/proved && nvidia-smi"]
    on_cpu = pod(STACKS["no-gpu"], "DaemonSet")["containers"][0]
    assert on_cpu["readinessProbe"]["exec"]["command"] == ["sh", "-c", "test -e /tmp/proved"]


def test_a_runtime_class_is_offered_and_not_insisted_on() -> None:
    (job, _) = render("kubernetes", STACKS["rtx5090"])
    assert "# runtimeClassName: nvidia\n" in job.text
    assert "runtimeClassName" not in pod(STACKS["rtx5090"], "Job")


def test_another_architecture_is_chosen() -> None:
    assert pod(STACKS["gb10"], "Job")["nodeSelector"] == {"kubernetes.io/arch": "arm64"}


def test_a_long_name_still_names_resources() -> None:
    for kind, resource in resources(STACKS["rtx5090"], name="x" * 200).items():
        assert len(resource["metadata"]["name"]) <= 63, kind
