"""Which GPUs can run the device code inside a binary.

The rules are torch's own (torch/cuda/__init__.py, DEVICE_REQUIREMENT, read from the 2.15.0 wheel): code for sm_XY runs
on the same major and no lower minor. Jetson boards stand apart until CUDA 13.2, which lets server binaries run on them.
PTX (compute_XY) is compiled by the driver for any GPU of that capability or above. NVIDIA's suffixes narrow both:
"a" code runs on exactly its own capability, "f" code on its own family (same major) only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from envdoctor.knowledge.tables import Record
from envdoctor.knowledge.versions import capability_key, cuda_key

_FLAG = re.compile(r"(sm_|compute_)?(\d{1,2})\.?(\d)([af]?)(\+ptx)?$")

_Flag = tuple[str, tuple[int, int], str, bool]


class CodeRule(Record, frozen=True, kw_only=True):
    """The devices that code for one `sm` (capability times ten) runs on."""

    sm: int
    start: str | None = None
    """lowest capability of the same major"""
    exclude: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    """where given, exactly these capabilities"""


class CodeRules:
    """torch's rules; `unified_from` is the CUDA version from which `unified_sm` lose their Jetson exceptions."""

    def __init__(self, rules: Iterable[CodeRule], unified_from: str, unified_sm: Iterable[int]) -> None:
        self._rules = {rule.sm: rule for rule in rules}
        self._unified_from = cuda_key(unified_from)
        self._unified_sm = frozenset(unified_sm)

    def native(self, flags: Iterable[str], capability: str, cuda: str | None = None) -> bool:
        """Whether compiled code (SASS) among `flags` runs on a device of this capability."""
        device = capability_key(capability)
        return any(
            kind != "compute_" and self._runs(code, suffix, device, cuda) for kind, code, suffix, _ in _parsed(flags)
        )

    def serving(self, flags: Iterable[str], capability: str, cuda: str | None = None) -> str | None:
        """The flag whose compiled code the device would run: the highest that fits. None where none does."""
        fitting = [flag for flag in flags if self.native((flag,), capability, cuda)]
        return max(fitting, key=lambda flag: _parsed((flag,))[0][1], default=None)

    def by_ptx(self, flags: Iterable[str], capability: str) -> bool:
        """Whether PTX among `flags` can be compiled for this device (by a driver as new as the toolkit)."""
        device = capability_key(capability)
        for kind, code, suffix, plus_ptx in _parsed(flags):
            if kind != "compute_" and not plus_ptx:
                continue
            if suffix == "a":
                fits = device == code
            elif suffix == "f":
                fits = device[0] == code[0] and device >= code
            else:
                fits = device >= code
            if fits:
                return True
        return False

    def _runs(self, code: tuple[int, int], suffix: str, device: tuple[int, int], cuda: str | None) -> bool:
        if suffix == "a":
            return device == code
        same_family = device[0] == code[0] and device >= code
        if suffix == "f":
            return same_family
        sm = code[0] * 10 + code[1]
        rule = self._rules.get(sm)
        if rule is None:
            return same_family
        if rule.only:
            return device in {capability_key(only) for only in rule.only}
        unified = sm in self._unified_sm and cuda is not None and cuda_key(cuda) >= self._unified_from
        excluded = () if unified else rule.exclude
        return same_family and device not in {capability_key(other) for other in excluded}


def _parsed(flags: Iterable[str]) -> tuple[_Flag, ...]:
    return tuple(parsed for flag in flags if (parsed := _parse(flag)) is not None)


@lru_cache(maxsize=512)
def _parse(flag: str) -> _Flag | None:
    """(kind, capability, suffix, with PTX) of a CUDA flag; None for others: ROCm's "gfx90a" is no code for NVIDIA."""
    match = _FLAG.match(flag.strip().lower())
    if match is None:
        return None
    return match[1] or "sm_", (int(match[2]), int(match[3])), match[4], match[5] is not None
