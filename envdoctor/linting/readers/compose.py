"""Reads a Compose file: what each service runs and whether a GPU is given to it.

Source: the Compose specification (compose-spec, 05-services.md, deploy.md), docs.docker.com/compose/how-tos/gpu-support.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from envdoctor.linting.model import Described, DescribedEnvironment, Place, PlacedValue, Service
from envdoctor.linting.readers import dockerfile, yaml_lines
from envdoctor.linting.readers.docker_stage import Sibling
from envdoctor.linting.script import UNKNOWN, expanded


def read(name: str, text: str, sibling: Sibling) -> Described:
    """The services, in the file's order, and the stages of the Dockerfiles beside it that they are built from."""
    documents = yaml_lines.load(name, text)
    data = documents[0] if documents else None
    services = data.get("services") if isinstance(data, yaml_lines.Mapping) else None
    if not isinstance(services, yaml_lines.Mapping):
        return Described(name=name, kind="compose")
    found = []
    environments: list[DescribedEnvironment] = []
    lines = text.splitlines()
    starts = sorted(services.lines.values())
    for key, value in services.items():
        if not isinstance(value, yaml_lines.Mapping):
            continue
        start = services.lines[key]
        end = next((line - 1 for line in starts if line > start), len(lines))
        service = _service(name, str(key), start, value, lines[start - 1 : end])
        built = _dockerfile(value)
        entry = sibling(built) if built is not None else None
        if entry is not None:
            environments += dockerfile.read(*entry, sibling).environments
        elif built is not None:
            service = msgspec.structs.replace(service, builds=PlacedValue(built, Place(name, value.lines["build"])))
        found.append(service)
    return Described(name=name, kind="compose", services=tuple(found), environments=tuple(environments))


def _dockerfile(value: yaml_lines.Mapping) -> str | None:
    """The Dockerfile that a service is built from, as a path from the Compose file; None where it is not built."""
    build = value.get("build")
    if isinstance(build, str):
        return f"{_filled(build)}/Dockerfile"
    if not isinstance(build, dict):
        return None
    return f"{_filled(str(build.get('context', '.')))}/{_filled(str(build.get('dockerfile', 'Dockerfile')))}"


def _filled(text: str) -> str:
    """With Compose's defaults (`${TAG:-1.0}`) filled in; a variable without one stays as it is written."""
    filled = expanded(text, {})
    return text if UNKNOWN in filled else re.sub(r"\\(.)", r"\1", filled)


def _service(name: str, key: str, line: int, value: yaml_lines.Mapping, lines: list[str]) -> Service:
    variables = _variables(name, value)
    image = value.get("image")
    said = PlacedValue(_filled(image), Place(name, value.lines["image"])) if isinstance(image, str) else None
    platform = {"linux/amd64": "linux_x86_64", "linux/arm64": "linux_aarch64"}.get(str(value.get("platform")))
    return Service(
        name=key,
        place=Place(name, line),
        image=said,
        gpu=_has_gpu(value),
        needs_gpu=_needs_gpu(said, variables) or _commented_out(name, line, lines),
        platform=platform,
        variables=variables,
    )


def _variables(name: str, value: yaml_lines.Mapping) -> dict[str, PlacedValue]:
    given = value.get("environment")
    found: dict[str, PlacedValue] = {}
    if isinstance(given, yaml_lines.Mapping):
        for key, item in given.items():
            if item is not None:
                found[str(key)] = PlacedValue(_filled(str(item)), Place(name, given.lines[key]))
    elif isinstance(given, yaml_lines.Sequence):
        for item, line in zip(given, given.lines, strict=True):
            key, has_value, text = str(item).partition("=")
            if has_value:
                found[key] = PlacedValue(_filled(text), Place(name, line))
    return found


def _has_gpu(value: yaml_lines.Mapping) -> bool:
    """Whether a GPU is given to it in any way: a device reservation, `gpus`, the nvidia runtime, CDI or /dev nodes."""
    if value.get("gpus") or value.get("runtime") == "nvidia" or value.get("privileged") is True:
        return True
    devices = value.get("devices")
    if isinstance(devices, list) and any("nvidia" in str(device) for device in devices):
        return True
    if value.get("device_cgroup_rules") or "extends" in value:
        return True
    node: Any = value
    for key in ("deploy", "resources", "reservations"):
        node = node.get(key) if isinstance(node, dict) else None
    if not isinstance(node, dict):
        return False
    reserved = node.get("devices")
    for device in reserved if isinstance(reserved, list) else ():
        capabilities = device.get("capabilities") if isinstance(device, dict) else None
        words = {str(word) for word in capabilities} if isinstance(capabilities, list) else set()
        if words & {"gpu", "nvidia"} or (isinstance(device, dict) and device.get("driver") in ("nvidia", "cdi")):
            return True
    generic = node.get("generic_resources")
    return isinstance(generic, list) and bool(generic)  # Swarm's way


_COMMENTED = re.compile(
    r"^\s*#.*(capabilities:\s*\[\s*[\"']?gpu|driver:\s*[\"']?nvidia|runtime:\s*[\"']?nvidia|gpus:\s*all)"
)


def _commented_out(name: str, line: int, lines: list[str]) -> PlacedValue | None:
    """A reservation of GPUs that stands in the service and is commented out."""
    for offset, text in enumerate(lines):
        if _COMMENTED.match(text):
            return PlacedValue(f"commented out: {text.strip(' #')}", Place(name, line + offset))
    return None


def _needs_gpu(image: PlacedValue | None, variables: dict[str, PlacedValue]) -> PlacedValue | None:
    """What in the service says that it means to use a GPU: NVIDIA's variables, or an image that holds CUDA."""
    for key in ("NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES", "CUDA_VISIBLE_DEVICES"):
        said = variables.get(key)
        if said is not None and said.value.lower() not in ("", "none", "void", "-1"):
            return PlacedValue(f"{key}={said.value}", said.place)
    if image is None:
        return None
    repository, _, tag = image.value.rpartition(":") if ":" in image.value.rpartition("/")[2] else (image.value, "", "")
    cuda_image = repository.endswith(("nvidia/cuda", "nvcr.io/nvidia/pytorch", "nvidia/pytorch"))
    cuda_tag = "cuda" in tag and "cpu" not in tag and repository.endswith(("pytorch/pytorch", "vllm/vllm-openai"))
    server = repository.endswith("vllm/vllm-openai") and "cpu" not in tag
    return image if cuda_image or cuda_tag or server else None
