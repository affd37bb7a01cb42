"""The installation that a repair would change: who put torch there, from which index, who decides its version, for whose GPU.

Made once from the facts and asked by every repair that replaces torch or what goes with it. Unknown is a value of its own: a
torch whose variant no fact tells is not the CPU build, and is repaired only once its variant has been shown.
"""

from __future__ import annotations

import enum
import re

import msgspec

from envdoctor.diagnosis.repairs.torch_pins import Pin, torch_pins
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.interpreter import Interpreter, Torch
from envdoctor.knowledge import Knowledge, KnowledgeError, TorchBuild
from envdoctor.planning.machine_gpus import machine_gpus
from envdoctor.planning.target import wheel_platform
from envdoctor.reading.other_gpus import other_gpu


class Manager(enum.Enum):
    """What installs packages here."""

    PIP = "pip"
    UV = "uv"
    CONDA = "conda"
    POETRY = "poetry"


class TorchOrigin(enum.Enum):
    """Where the installed torch is from."""

    PYPI = "pypi"
    """pip's default index."""
    INDEX = "index"
    """An index of pytorch.org: CUDA, CPU, ROCm, XPU."""
    NIGHTLY = "nightly"
    CONDA = "conda"
    OWN_BUILD = "own-build"
    """A vendor's build, or one from source: no index has it."""
    UNKNOWN = "unknown"


class Accelerator(enum.Enum):
    """Whose GPU it is for."""

    NVIDIA = "NVIDIA"
    AMD = "AMD"
    INTEL = "Intel"
    APPLE = "Apple"
    UNKNOWN = "unknown"


class ImageVendor(enum.Enum):
    """What brought torch along, where it was not the user: its torch is not replaced by pip's."""

    NVIDIA = "NVIDIA's container image"
    VLLM = "vLLM's container image"
    SGLANG = "SGLang's container image"
    JETPACK = "JetPack"
    NIX = "Nix"


class Installation(msgspec.Struct, frozen=True, kw_only=True):
    """`variant`: 'cu128', 'cpu', 'rocm6.4', 'xpu', None where not known. `index_url`: None for pip's default index, and wherever
    `channel` is CONDA, OWN_BUILD or UNKNOWN. `release`: '2.9.1', without the local part."""

    manager: Manager
    channel: TorchOrigin
    accelerator: Accelerator
    variant: str | None = None
    index_url: str | None = None
    release: str | None = None
    build: TorchBuild | None = None
    """The published build that this is, where the tables have it."""
    image: ImageVendor | None = None
    pins: tuple[Pin, ...] = ()
    windows: bool = False

    @property
    def of_other_gpus(self) -> bool:
        """Whether it is for GPUs that CUDA does not drive, so that no build with CUDA is of use."""
        return self.accelerator in (Accelerator.AMD, Accelerator.INTEL, Accelerator.APPLE)

    @property
    def reinstallable(self) -> bool:
        """Whether this very build can be had from an index that is known."""
        return self.image is None and self.channel in (TorchOrigin.PYPI, TorchOrigin.INDEX, TorchOrigin.NIGHTLY)


_NIGHTLY = re.compile(r"(?:dev|\.d)20\d{6}")
_VARIANT = re.compile(r"(?:cu\d{2,3}|cpu|xpu|rocm\d{1,2}\.\d{1,2}(?:\.\d{1,2})?)$")
_UV = re.compile(
    r"\buv (?:pip|add|sync|run|lock|venv)\b|\bUsing (?:CPython|Python) \S+ (?:environment|interpreter) at\b"
)
_POETRY = re.compile(r"\bpoetry (?:add|install|run|update|lock)\b")
_CONDA = re.compile(r"\b(?:conda|mamba|micromamba) (?:install|create|activate)\b")
_IMAGES = (
    (ImageVendor.VLLM, re.compile(r"\bvllm/vllm-openai\b")),
    (ImageVendor.SGLANG, re.compile(r"\blmsysorg/sglang\b")),
    (ImageVendor.NVIDIA, re.compile(r"\bnvcr\.io/nvidia/")),
    (
        ImageVendor.JETPACK,
        re.compile(r"\bnv_tegra_release\b|\bL4T \d\d|\bJetPack ?\d|\b\d\.\d+\.\d+-tegra\b", re.IGNORECASE),
    ),
    (ImageVendor.NIX, re.compile(r"/nix/store/")),
)


def installation(snapshot: Snapshot, world: Knowledge) -> Installation:
    """What is known of this machine's or this text's installation."""
    text = _text(snapshot)
    channel, variant, index, build = _channel(snapshot, world)
    image = _image(snapshot, text, channel, world)
    return Installation(
        manager=manager_of(snapshot),
        channel=channel,
        accelerator=_accelerator(snapshot, text, world),
        variant=variant,
        index_url=index,
        release=snapshot.torch.release if snapshot.torch else None,
        image=image,
        build=build,
        pins=torch_pins(snapshot, world),
        windows=bool(snapshot.host and snapshot.host.system == "Windows"),
    )


def _text(snapshot: Snapshot) -> str:
    return "\n".join(snapshot.messages)[:100_000]


def uses_conda(snapshot: Snapshot) -> bool:
    """Whether conda put this torch here: then pip would only lay a second one over it."""
    interpreter = snapshot.interpreter
    if interpreter is None:
        return False
    torch = interpreter.distribution("torch")
    if torch is not None and torch.installer not in (None, "conda"):
        return False
    return any(p.name == "pytorch" and p.channel != "pypi" for p in interpreter.conda_packages or ())


def manager_of(snapshot: Snapshot) -> Manager:
    """What installs packages here: by torch's own metadata, else by the text's words."""
    interpreter = snapshot.interpreter
    torch = interpreter.distribution("torch") if interpreter else None
    installer = torch.installer if torch else None
    if uses_conda(snapshot):
        return Manager.CONDA
    if installer in ("uv", "poetry"):
        return Manager(installer)
    if interpreter is not None and interpreter.pip is False:
        return Manager.UV
    if interpreter is None or (installer is None and interpreter.pip is None):
        # Only a text's own words tell: an environment of uv's has no pip.
        text = _text(snapshot)
        if _UV.search(text):
            return Manager.UV
        if _POETRY.search(text):
            return Manager.POETRY
    return Manager.PIP


def _accelerator(snapshot: Snapshot, text: str, world: Knowledge) -> Accelerator:
    """An NVIDIA GPU that is known goes before every other: laptops have one of AMD's or Intel's beside it."""
    if machine_gpus(snapshot, world) or snapshot.nvidia_devices or snapshot.driver_version:
        return Accelerator.NVIDIA
    build = snapshot.torch.build if snapshot.torch else None
    if build in ("rocm", "xpu"):
        return Accelerator.AMD if build == "rocm" else Accelerator.INTEL
    if any(device.vendor == "1002" and device.is_gpu for device in snapshot.pci or ()):
        return Accelerator.AMD
    named = "\n".join((text, *_torchs_devices(snapshot)))
    vendor = other_gpu(named)
    if vendor is not None:
        return Accelerator(vendor.value)
    mac = snapshot.host is not None and snapshot.host.system == "Darwin"
    return Accelerator.APPLE if mac else Accelerator.UNKNOWN


def _torchs_devices(snapshot: Snapshot) -> tuple[str, ...]:
    run = snapshot.torch.run if snapshot.torch else None
    return tuple(device.name or "" for device in (run.devices or () if run else ()))


def _image(snapshot: Snapshot, text: str, channel: TorchOrigin, world: Knowledge) -> ImageVendor | None:
    torch, interpreter = snapshot.torch, snapshot.interpreter
    local = ((torch.version if torch else None) or "").partition("+")[2]
    if re.search(r"(?:^|\.)nv\d", local):
        return ImageVendor.JETPACK if _jetson(snapshot, world) else ImageVendor.NVIDIA
    if snapshot.variable("NVIDIA_PYTORCH_VERSION"):
        return ImageVendor.NVIDIA
    if _unknown_jetson(snapshot, world):
        return ImageVendor.JETPACK
    places = (torch.location if torch else None, interpreter.prefix if interpreter else None)
    everything = "\n".join((text, *(place for place in places if place)))
    own = channel in (TorchOrigin.OWN_BUILD, TorchOrigin.UNKNOWN)
    # A wheel of an index may be laid over a Jetson's or Nix's own torch, and is replaced as anywhere.
    images = (image for image, pattern in _IMAGES if pattern.search(everything))
    return next((image for image in images if own or image not in (ImageVendor.JETPACK, ImageVendor.NIX)), None)


def _jetson(snapshot: Snapshot, world: Knowledge) -> bool:
    gpus = machine_gpus(snapshot, world) or ()
    return any(gpu.record is not None and gpu.record.kind == "jetson" for gpu in gpus)


def _unknown_jetson(snapshot: Snapshot, world: Knowledge) -> bool:
    """A Jetson by its kernel or its driver's name, of which no table tells which board it is."""
    gpus = machine_gpus(snapshot, world) or ()
    tegra = bool(snapshot.host and "tegra" in (snapshot.host.kernel or ""))
    return (tegra or any("nvgpu" in gpu.name for gpu in gpus)) and not any(gpu.record for gpu in gpus)


def _channel(snapshot: Snapshot, world: Knowledge) -> tuple[TorchOrigin, str | None, str | None, TorchBuild | None]:
    """The channel of the installed torch, its variant, its index and its record."""
    torch, interpreter = snapshot.torch, snapshot.interpreter
    if uses_conda(snapshot):
        return TorchOrigin.CONDA, _named_variant(torch), None, None
    if torch is None or torch.version is None:
        return TorchOrigin.UNKNOWN, _named_variant(torch), None, None
    local = torch.version.partition("+")[2]
    variant = _named_variant(torch)
    if _NIGHTLY.search(torch.version):
        index = world.torch_index(f"nightly/{variant}") if variant else None
        return (TorchOrigin.NIGHTLY if variant else TorchOrigin.UNKNOWN), variant, index, None
    if (local and not _VARIANT.match(local)) or re.search(r"\d(?:a|b)\d", torch.version.partition("+")[0]):
        return TorchOrigin.OWN_BUILD, variant, None, None
    build = _published(torch, variant, snapshot, interpreter, world)
    if build is not None:
        return (TorchOrigin.INDEX if build.index_url else TorchOrigin.PYPI), build.variant, build.index_url, build
    if variant is not None:
        # Its own name says that it is from there, whatever the tables hold.
        return TorchOrigin.INDEX, variant, world.torch_index(variant), None
    return TorchOrigin.UNKNOWN, None, None, None


def _named_variant(torch: Torch | None) -> str | None:
    """By the local part of the version, else by what torch says of its build."""
    if torch is None:
        return None
    local = (torch.version or "").partition("+")[2]
    if _VARIANT.match(local):
        return local
    if torch.cuda is not None:
        return f"cu{torch.cuda.replace('.', '')}"
    if torch.hip is not None:
        return f"rocm{'.'.join(torch.hip.split('.')[:2])}"
    return torch.build if torch.build in ("cpu", "xpu") else None


def _published(
    torch: Torch, variant: str | None, snapshot: Snapshot, interpreter: Interpreter | None, world: Knowledge
) -> TorchBuild | None:
    """The published build that this is. pip's list without a local part means PyPI's: the other indexes write theirs into it."""
    platform = wheel_platform(snapshot) or "linux_x86_64"
    release = torch.release or ""
    try:
        builds = [b for b in world.torch_builds(release) if b.platform == platform and b.torch == release]
    except KnowledgeError:
        return None
    if variant is not None:
        return next((build for build in builds if build.variant == variant), None)
    listed = interpreter.distribution("torch") if interpreter else None
    if listed is not None and listed.version == release and listed.installer != "conda":
        return next((build for build in builds if build.index_url is None), None)
    return None
