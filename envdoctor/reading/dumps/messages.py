"""The lines that are no dump: kept, bounded, for the diagnosis of errors; and the facts that torch's own warnings state."""

from __future__ import annotations

import re
from collections import deque

from envdoctor.reading.dumps.raw_values import Findings
from envdoctor.reading.dumps.text import DumpLine

MOST_LINES = 200
MOST_CHARACTERS = 20_000
LONGEST = 1_000

# Lines to keep before others where there are too many: what an error, a warning or a loader says.
_TELLING = (
    "error", "exception", "warning", "fail", "cuda", "nvidia", "nvml", "cudnn", "nccl", "cannot", "can't", "could not",
    "couldn't", "unable", "undefined symbol", ".so", ".dll", "no module named", "not found", "no such", "xid", "killed",
    "abort", "segmentation", "mismatch", "incompatible", "unsupported", "not compatible", "capabilit", "driver", "hardware cc",
)  # fmt: skip

# Texts from torch/cuda/__init__.py (1.0 to 2.15) and c10/cuda/CUDAFunctions.cpp.
_INCOMPATIBLE = re.compile(r"(?:^|Warning:\s*)([^:]{3,80}?) with CUDA capability sm_(\d{2,3}\w?) is not compatible")
_SUPPORTS = re.compile(r"install supports CUDA capabilities ((?:(?:sm|compute)_\w{2,6}[,\s]*){1,40})")
_FOUND = re.compile(
    r"Found GPU\s?(\d{1,3}) (.{3,80}?) which is (?:only )?of (?:cuda|compute) capability (?:\(CC\) )?(\d{1,2})\.(\d)"
)
_BUILT_FOR = re.compile(r"(\d{1,2}\.\d) which supports hardware CC ")
_DRIVER = re.compile(r"NVIDIA driver on your system is too old \(found version (\d{4,6})\)")


class Messages:
    """Keeps the first and the last telling lines, and prose as far as there is room."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.number = 0
        self.telling: list[tuple[int, str]] = []
        self.last: deque[tuple[int, str]] = deque(maxlen=MOST_LINES // 2)
        self.prose: list[tuple[int, str]] = []

    def take(self, line: DumpLine) -> None:
        bare = line.bare
        if not any(character.isalnum() for character in bare[:80]):
            return
        self.number += 1
        kept = (self.number, line.text[:LONGEST])
        low = bare[:LONGEST].lower()
        if any(word in low for word in _TELLING):
            self._facts(bare[:LONGEST])
            if len(self.telling) < MOST_LINES // 2:
                self.telling.append(kept)
            else:
                self.last.append(kept)
        elif len(self.prose) < MOST_LINES:
            self.prose.append(kept)

    def _facts(self, bare: str) -> None:
        if "apabilit" in bare or "hardware CC" in bare:
            found = _INCOMPATIBLE.search(bare)
            if found:
                self.findings.current("torch warning").add("capabilities", f"{found[1].strip()}\t{found[2]}")
            found = _FOUND.search(bare)
            if found:
                self.findings.current("torch warning").add(
                    "found", f"{found[1]}\t{found[2].strip()}\t{found[3]}.{found[4]}"
                )
            found = _BUILT_FOR.match(bare)
            if found:
                self.findings.current("torch warning").add("arches", f"sm_{found[1].replace('.', '')}")
            found = _SUPPORTS.search(bare)
            if found:
                for arch in found[1].replace(",", " ").split():
                    self.findings.current("torch warning").add("arches", arch)
        elif "NVIDIA driver on your system" in bare and "no NVIDIA" in bare:
            self.findings.current("torch warning").put("driver.none", bare[:300])
        elif "Torch not compiled with CUDA enabled" in bare:
            self.findings.current("torch warning").put("without cuda", "yes")
        elif "too old (found version" in bare:
            found = _DRIVER.search(bare)
            if found:
                self.findings.current("torch warning").put("driver.cuda", found[1])

    def result(self) -> tuple[str, ...]:
        """The kept lines in the order of the text."""
        room = MOST_CHARACTERS
        kept: list[tuple[int, str]] = []
        for number, text in (*self.telling, *reversed(self.last), *self.prose):
            if len(kept) < MOST_LINES and len(text) <= room:
                room -= len(text)
                kept.append((number, text))
        return tuple(text for _, text in sorted(kept))
