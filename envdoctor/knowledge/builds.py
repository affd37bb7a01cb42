"""torch releases and their published builds: the types that queries answer with."""

from __future__ import annotations

import msgspec

from envdoctor.knowledge.tables import Record


class TorchBuild(msgspec.Struct, frozen=True, kw_only=True):
    """One published torch wheel family: a release, a variant, a platform.

    `confidence` says how the architecture flags are known: measured (read out of the wheel), observed (a user's
    get_arch_list()), source-script, source-doc, runtime-table (torch's own table of its releases), conflict (sources
    differ; the flags are those they agree on), unknown. All but the first two may recommend a build, never rule one out.
    `cudnn`, `nccl`, `triton`: the pinned version or specifier; None where not read (Windows wheels bundle theirs).
    `glibc`: the lowest that the wheel accepts, None off Linux. `min_driver`: by minor-version compatibility.
    `torchvision`, `torchaudio`: those that go with it and that its own index has; None where none was seen there.
    `index_url`: None where pip's default index (PyPI) serves this build to this platform."""

    torch: str
    variant: str
    cuda: str | None = None
    platform: str
    index_url: str | None = None
    torchvision: str | None = None
    torchaudio: str | None = None
    min_driver: str | None = None
    arch_flags: tuple[str, ...] = ()
    has_ptx: bool | None = None
    confidence: str = "unknown"
    toolkit: str | None = None
    cudnn: str | None = None
    nccl: str | None = None
    triton: str | None = None
    requires: tuple[str, ...] = ()
    glibc: str | None = None
    cxx11_abi: bool | None = None
    python_tags: tuple[str, ...] = ()
    status: str | None = None
    note: str | None = None
    evidence: tuple[str, ...] = ()
    source: tuple[str, ...] = ()

    @property
    def list_is_certain(self) -> bool:
        """Whether `arch_flags` came out of the wheel itself, so that what is not in it is not there."""
        return bool(self.arch_flags) and self.confidence in ("measured", "observed")

    @property
    def name(self) -> str:
        """The release with its variant, as torch.__version__ prints it: "2.14.1+cu126"."""
        return f"{self.torch}+{self.variant}"

    def requirements(self, *packages: str) -> tuple[str, ...]:
        """Exact pins, ("torch==2.14.1", "torchvision==0.29.1") by default; torchvision and torchaudio are left out
        where no matching release is known. Other package names are passed through unpinned."""
        known = {"torch": self.torch, "torchvision": self.torchvision, "torchaudio": self.torchaudio}
        pins = []
        for package in packages or ("torch", "torchvision"):
            if package not in known:
                pins.append(package)
            elif known[package] is not None:
                pins.append(f"{package}=={known[package]}")
        return tuple(pins)

    def pip_arguments(self, *packages: str) -> tuple[str, ...]:
        """What follows `pip install`: the pins, and --index-url where PyPI does not serve this build. That index
        serves torch's own dependencies too, so it stands alone."""
        index = ("--index-url", self.index_url) if self.index_url else ()
        return (*self.requirements(*packages), *index)


class Unpublished(Record, frozen=True, kw_only=True):
    """A variant that is named somewhere and must not be offered: never published, or without evidence that it was.
    `platforms`: which; empty for all."""

    variant: str
    platforms: tuple[str, ...] = ()
    reason: str
    source: tuple[str, ...] = ()


class TorchRelease(msgspec.Struct, frozen=True, kw_only=True):
    """One torch release. `date`: first upload to PyPI. `python`: tags of the PyPI wheels by platform ("3.13t" is the
    free-threaded build). `torchvision`, `torchaudio`: the matching release."""

    version: str
    date: str
    requires_python: str
    python: dict[str, tuple[str, ...]]
    torchvision: str | None = None
    torchaudio: str | None = None
    yanked: bool = False
    cpp_standard: str | None = None
    rocm: tuple[str, ...] | None = None
    unconfirmed: tuple[Unpublished, ...] = ()
    not_published: tuple[Unpublished, ...] = ()
    source: tuple[str, ...] = ()
