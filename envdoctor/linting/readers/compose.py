"""Reads a Compose file: what each service runs and whether a GPU is given to it.

Source: the Compose specification (compose-spec, 05-services.md, deploy.md), docs.docker.com/compose/how-tos/gpu-support.
"""

from __future__ import annotations

from typing import Any

from envdoctor.linting.model import Described, Place, PlacedValue, Service
from envdoctor.linting.readers import yaml_lines


def read(name: str, text: str) -> Described:
    """The services, in the file's order."""
    documents = yaml_lines.load(name, text)
    data = documents[0] if documents else None
    services = data.get("services") if isinstance(data, yaml_lines.Mapping) else None
    if not isinstance(services, yaml_lines.Mapping):
        return Described(name=name, kind="compose")
    found = [
        _service(name, str(key), services.lines[key], value)
        for key, value in services.items()
        if isinstance(value, yaml_lines.Mapping)
    ]
    return Described(name=name, kind="compose", services=tuple(found))


def _service(name: str, key: str, line: int, value: yaml_lines.Mapping) -> Service:
    variables = _variables(name, value)
    image = value.get("image")
    said = PlacedValue(image, Place(name, value.lines["image"])) if isinstance(image, str) else None
    platform = {"linux/amd64": "linux_x86_64", "linux/arm64": "linux_aarch64"}.get(str(value.get("platform")))
    return Service(
        name=key,
        place=Place(name, line),
        image=said,
        gpu=_has_gpu(value),
        needs_gpu=_needs_gpu(said, variables),
        platform=platform,
        variables=variables,
    )


def _variables(name: str, value: yaml_lines.Mapping) -> dict[str, PlacedValue]:
    given = value.get("environment")
    found: dict[str, PlacedValue] = {}
    if isinstance(given, yaml_lines.Mapping):
        for key, item in given.items():
            if item is not None:
                found[str(key)] = PlacedValue(str(item), Place(name, given.lines[key]))
    elif isinstance(given, yaml_lines.Sequence):
        for item, line in zip(given, given.lines, strict=True):
            key, has_value, text = str(item).partition("=")
            if has_value:
                found[key] = PlacedValue(text, Place(name, line))
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
    return image if cuda_image or cuda_tag else None
