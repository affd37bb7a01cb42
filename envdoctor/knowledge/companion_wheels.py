"""What the wheels of torch's companions were built against, as the wheels themselves say (`refresh` reads them)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property

import msgspec

from envdoctor.knowledge.tables import Record, read
from envdoctor.knowledge.versions import cuda_key, version

# NVIDIA's libraries whose soname carries the major of their CUDA (libcufft.so.12 is of CUDA 13: others count on their own).
_OF_THE_CUDA_MAJOR = re.compile(r"lib(?:cudart|cublas|cublasLt|nvrtc|nvJitLink|nppicc|nvjpeg)\.so\.(\d+)")
_CUDNN = re.compile(r"(?:libcudnn(?:_\w+)?\.so\.|nvidia-cudnn-cu\d+[<>=~!]+)(\d+)")


class CompanionWheel(Record, frozen=True, kw_only=True):
    """One wheel on PyPI, of one release and platform; wheels of other Pythons are taken to be built alike.

    `local`: the version that the package says it is ("2.11.1+cu132"), None where it says none. `cuda`: the CUDA versions
    that it was built with, by its own words or by the libraries it names (bitsandbytes has one for each); () where it
    was built without, None where that could not be told. `needs`: DT_NEEDED of `library`, what the loader must find;
    `loads`: libraries named inside that are opened while it runs. `pins`: what its metadata asks of NVIDIA's packages, in
    an extra too. `torch`: the requirement of the wheel's metadata, None
    where it names none."""

    package: str
    version: str
    platform: str
    file: str
    date: str
    local: str | None = None
    cuda: tuple[str, ...] | None = None
    library: str | None = None
    needs: tuple[str, ...] = ()
    loads: tuple[str, ...] = ()
    pins: tuple[str, ...] = ()
    torch: str | None = None

    @property
    def cuda_majors(self) -> tuple[int, ...] | None:
        """The CUDA majors that it was built for, newest first; () for a build without CUDA, None where not known."""
        if self.cuda is not None:
            found = {cuda_key(cuda)[0] for cuda in self.cuda}
        else:
            found = set(majors_of((*self.needs, *self.loads)))
            if not found:
                return None
        return tuple(sorted(found, reverse=True))

    @property
    def cudnn_major(self) -> int | None:
        """The cuDNN major that it asks for; None where it names none."""
        texts = (*self.needs, *self.loads, *self.pins)
        return next((int(match[1]) for text in texts if (match := _CUDNN.match(text))), None)


def majors_of(libraries: Iterable[str]) -> tuple[int, ...]:
    """The CUDA majors that library names ask for: ("libcudart.so.13", "libc.so.6") -> (13,)."""
    found = {int(match[1]) for name in libraries if (match := _OF_THE_CUDA_MAJOR.match(name))}
    return tuple(sorted(found, reverse=True))


class CompanionWheelTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: str
    as_of: str
    source: str
    wheels: tuple[CompanionWheel, ...]


class CompanionWheels:
    """Queries over data/companion_wheels.json."""

    @cached_property
    def table(self) -> CompanionWheelTable:
        return read("companion_wheels", CompanionWheelTable)

    @cached_property
    def _by_package(self) -> dict[tuple[str, str], tuple[CompanionWheel, ...]]:
        found: dict[tuple[str, str], list[CompanionWheel]] = {}
        for row in self.table.wheels:
            found.setdefault((row.package, row.platform), []).append(row)
        return {
            key: tuple(sorted(rows, key=lambda row: version(row.version), reverse=True)) for key, rows in found.items()
        }

    def packages(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(row.package for row in self.table.wheels))

    def of(self, package: str, platform: str) -> tuple[CompanionWheel, ...]:
        return self._by_package.get((package, platform), ())

    def find(self, package: str, release: str, platform: str) -> CompanionWheel | None:
        wanted = version(release.partition("+")[0])
        return next((row for row in self.of(package, platform) if version(row.version) == wanted), None)
