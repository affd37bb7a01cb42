"""torch's two data files, joined into published builds.

data/torch_pypi.json is rebuilt by `refresh` from the registry; data/torch_channels.json, maintained by hand, has the
wheels that only download.pytorch.org serves. A build is listed only on evidence that it was published; what a script
or a table merely names is in `TorchRelease.unconfirmed`.
"""

from __future__ import annotations

import re
from functools import cached_property

import msgspec

from envdoctor.knowledge.builds import TorchBuild, TorchRelease, Unpublished
from envdoctor.knowledge.companion_wheels import CompanionWheels
from envdoctor.knowledge.companions import Companions, Documented
from envdoctor.knowledge.drivers import Drivers
from envdoctor.knowledge.tables import read, source_texts
from envdoctor.knowledge.torch_rows import Arch, Channels, ChannelTable, PypiRelease, PypiTable, Variant
from envdoctor.knowledge.versions import cuda_key, specifier, version


class Builds:
    """Queries over the two torch files. Everything is newest first."""

    def __init__(self, drivers: Drivers, companions: Companions, wheels: CompanionWheels) -> None:
        self._drivers = drivers
        self._companions = companions
        self._wheels = wheels

    @cached_property
    def pypi(self) -> PypiTable:
        return read("torch_pypi", PypiTable)

    @cached_property
    def channels(self) -> ChannelTable:
        return read("torch_channels", ChannelTable)

    @cached_property
    def _channels_of(self) -> dict[str, Channels]:
        return {row.version: row for row in self.channels.releases}

    @cached_property
    def _open_torchaudios(self) -> tuple[Documented, ...]:
        return self._companions.documented("torchaudio")

    @cached_property
    def releases(self) -> tuple[TorchRelease, ...]:
        ordered = sorted(self.pypi.releases, key=lambda row: version(row.version), reverse=True)
        return tuple(self._release(row) for row in ordered)

    @cached_property
    def all(self) -> tuple[TorchBuild, ...]:
        """Within a release: PyPI's own build, then CUDA newest first, CPU, ROCm."""
        pypi = {row.version: row for row in self.pypi.releases}
        builds = [build for release in self.releases for build in self._of(pypi[release.version], release)]
        builds.sort(key=_order)
        return tuple(builds)

    def release(self, text: str) -> TorchRelease | None:
        """The release `text` names: "2.14.1", "2.14.1+cu126"; "2.14" is its newest."""
        public = text.partition("+")[0]
        wanted = version(public)
        exact = public.count(".") >= 2
        for release in self.releases:
            have = version(release.version)
            if have == wanted if exact else have.release[:2] == (wanted.major, wanted.minor):
                return release
        return None

    def _cite(self, ids: tuple[str, ...]) -> tuple[str, ...]:
        return source_texts(ids, self.channels.sources)

    def _release(self, row: PypiRelease) -> TorchRelease:
        channels = self._channels_of.get(row.version) or Channels(version=row.version)
        return TorchRelease(
            version=row.version,
            date=row.date,
            requires_python=row.requires_python,
            python=row.python,
            torchvision=row.torchvision,
            torchaudio=row.torchaudio,
            yanked=row.yanked,
            cpp_standard=channels.cpp_standard,
            rocm=channels.rocm,
            unconfirmed=self._cited(channels.unconfirmed),
            not_published=self._cited(channels.not_published),
            source=(self.pypi.source,),
        )

    def _cited(self, rows: tuple[Unpublished, ...]) -> tuple[Unpublished, ...]:
        return tuple(msgspec.structs.replace(row, source=self._cite(row.source)) for row in rows)

    def _of(self, row: PypiRelease, release: TorchRelease) -> list[TorchBuild]:
        channels = self._channels_of.get(row.version) or Channels(version=row.version)
        variants = {variant.variant: variant for variant in channels.variants}
        builds = [
            self._pypi_build(row, release, platform, variants)
            for platform in row.python
            if platform in row.wheels or platform.startswith("macos")
        ]
        served = {(build.platform, build.variant) for build in builds}
        builds += [
            self._channel_build(row, release, variant, arch)
            for variant in channels.variants
            for arch in variant.builds
            if arch.platform in variant.platforms and (arch.platform, variant.variant) not in served
        ]
        builds += [
            self._plain(row, release, platform, "cpu", channels.cpu_source, channels.cpu_python.get(platform))
            for platform in channels.cpu
            if (platform, "cpu") not in served
        ]
        builds += [
            self._plain(row, release, "linux_x86_64", f"rocm{rocm}", channels.rocm_source)
            for rocm in channels.rocm or ()
        ]
        return builds

    def _pypi_build(
        self, row: PypiRelease, release: TorchRelease, platform: str, variants: dict[str, Variant]
    ) -> TorchBuild:
        wheel = row.wheels.get(platform)
        cuda = wheel.cuda if wheel else None
        variant = f"cu{cuda.replace('.', '')}" if cuda else "cpu"
        named = variants.get(variant)
        flags = tuple((wheel.flags or "").split()) if wheel else ()
        pins = _pins(wheel.requires if wheel else ())
        evidence = (f"PyPI: {wheel.file}",) if wheel else ("PyPI simple index: torch",)
        return TorchBuild(
            torch=row.version,
            variant=variant,
            cuda=cuda,
            platform=platform,
            torchvision=release.torchvision,
            torchaudio=self._torchaudio(release, cuda, platform, None),
            min_driver=self._drivers.minimum_driver(cuda, platform) if cuda else None,
            arch_flags=flags,
            has_ptx=any(flag.startswith("compute_") for flag in flags) if flags else None,
            confidence="measured" if wheel else "unknown",
            toolkit=pins.get("cuda-toolkit") or (named.toolkit if named else None),
            cudnn=pins.get("cudnn"),
            nccl=pins.get("nccl"),
            triton=pins.get("triton"),
            requires=wheel.requires if wheel else (),
            glibc=wheel.glibc if wheel else None,
            cxx11_abi=wheel.cxx11_abi if wheel else None,
            python_tags=row.python[platform],
            status=named.status if named else None,
            evidence=evidence,
            source=evidence,
        )

    def _channel_build(self, row: PypiRelease, release: TorchRelease, variant: Variant, arch: Arch) -> TorchBuild:
        wheel = row.wheels.get(arch.platform)
        linux = arch.platform.startswith("linux")
        evidence = self._cite(variant.source)
        return TorchBuild(
            torch=row.version,
            variant=variant.variant,
            cuda=variant.cuda,
            platform=arch.platform,
            index_url=self.channels.index.format(variant=variant.variant),
            torchvision=release.torchvision,
            torchaudio=self._torchaudio(release, variant.cuda, arch.platform, variant.variant),
            min_driver=self._drivers.minimum_driver(variant.cuda, arch.platform) if variant.cuda else None,
            arch_flags=tuple((arch.flags or "").split()),
            has_ptx=arch.ptx,
            confidence=arch.confidence,
            toolkit=variant.toolkit,
            # Windows wheels bundle their own libraries, and those were not inspected.
            cudnn=variant.cudnn if linux else None,
            nccl=variant.nccl if linux else None,
            # Every CUDA build of a release pins the same triton.
            triton=_pins(wheel.requires).get("triton") if linux and wheel and wheel.cuda else None,
            # One release is built in one set of images, so its other wheels have the PyPI wheel's platform tag.
            glibc=arch.glibc or (wheel.glibc if wheel else None),
            cxx11_abi=wheel.cxx11_abi if arch.cxx11_abi is None and wheel else arch.cxx11_abi,
            python_tags=row.python.get(arch.platform, ()),
            status=variant.status,
            note=variant.note,
            evidence=evidence,
            source=tuple(dict.fromkeys((*evidence, *self._cite(arch.source)))),
        )

    def _torchaudio(self, release: TorchRelease, cuda: str | None, platform: str, channel: str | None) -> str | None:
        """The torchaudio that goes with a build and that the build's own index has: `channel`, or PyPI where that is None.
        Of those that accept several torch releases the one of the build's own CUDA, else the newest of its major; None
        where no wheel of it was seen there."""
        released = version(release.version)
        rows = [row for row in self._open_torchaudios if specifier(row.torch).contains(released)]
        if not rows:
            return release.torchaudio
        found = []
        for row in rows:
            if channel is None:
                wheel = self._wheels.find("torchaudio", row.version, platform)
                have = wheel.cuda if wheel is not None else None
            elif platform not in row.channels.get(channel, ()):
                have = None
            else:
                have = (cuda,) if cuda is not None else ()
            if have is None:
                continue
            own = next(iter(have), None)
            near = own is not None and cuda is not None and cuda_key(own)[0] == cuda_key(cuda)[0]
            if own == cuda or (near and row.same_cuda == "major"):
                found.append((own == cuda, version(row.version), row.version))
        if found:
            return max(found)[2]
        # One that came out with this very release was built for every channel of it.
        paired = version(release.torchaudio).release[:2] if release.torchaudio else None
        return release.torchaudio if paired == released.release[:2] else None

    def _plain(
        self,
        row: PypiRelease,
        release: TorchRelease,
        platform: str,
        variant: str,
        source: tuple[str, ...],
        python: tuple[str, ...] | None = None,
    ) -> TorchBuild:
        """A build without NVIDIA code: CPU or ROCm, from its own index. ROCm wheels are built in images of their own
        (2.6 moved to glibc 2.28 a release ahead of the CPU wheel), so nothing is inferred for them."""
        wheel = row.wheels.get(platform) if variant == "cpu" else None
        evidence = self._cite(source)
        return TorchBuild(
            torch=row.version,
            variant=variant,
            platform=platform,
            index_url=self.channels.index.format(variant=variant),
            # Beside a wheel that PyPI has none of for the platform, no torchvision was seen either.
            torchvision=release.torchvision if python is None else None,
            torchaudio=self._torchaudio(release, None, platform, variant),
            glibc=wheel.glibc if wheel else None,
            cxx11_abi=wheel.cxx11_abi if wheel else None,
            python_tags=python if python is not None else row.python.get(platform, ()),
            evidence=evidence,
            source=evidence,
        )


_REQUIREMENT = re.compile(r"([\w.-]+)(?:\[[^]]*\])?(.*)")


def _pins(requires: tuple[str, ...]) -> dict[str, str]:
    """The versions that a diagnosis asks for, out of Requires-Dist: exact pins bare, others as specifiers.

    packaging.requirements would take most of a query's time budget on some 700 lines of one fixed shape."""
    found: dict[str, str] = {}
    for text in requires:
        match = _REQUIREMENT.match(text)
        if match is None:
            continue
        name, spec = match[1], match[2]
        value = spec[2:] if spec.startswith("==") and "," not in spec else spec
        for key in ("cudnn", "nccl"):
            if name.startswith(f"nvidia-{key}-"):
                found[key] = value
        if name in ("triton", "cuda-toolkit"):
            found[name] = value
    return found


def _order(build: TorchBuild) -> tuple[object, ...]:
    released = version(build.torch)
    cuda = cuda_key(build.cuda) if build.cuda else (0, 0)
    rocm = build.variant.startswith("rocm")
    return (
        tuple(-part for part in (released.major, released.minor, released.micro)),
        build.platform,
        build.index_url is not None,
        rocm,
        (-cuda[0], -cuda[1]),
        build.variant,
    )
