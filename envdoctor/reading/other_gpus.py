"""GPUs that CUDA does not drive, where a text names one: AMD's, Intel's and Apple's. Their processors have other names."""

from __future__ import annotations

import enum
import re


class Vendor(enum.Enum):
    AMD = "AMD"
    INTEL = "Intel"
    APPLE = "Apple"


_AMD = re.compile(
    r"\bRadeon\b|\bInstinct MI|\bMI(?:2[15]0X?|300[AX]|325X|350X|355X)\b|\bRX ?(?:[4-7]\d0|[5-9]\d{3})(?:\b| ?XT)|"
    r"\bgfx(?:9|1[0-2])[0-9a-f]{1,3}\b|\bAMD[ -](?:GPU|graphics)|\bGPU\W{1,5}AMD\b|\b[5-9][5-9][05]0 ?XTX?\b",
    re.IGNORECASE,
)
_INTEL = re.compile(r"\bIntel(?:\(R\))? Arc\b|\bArc(?:\(TM\))? [AB]\d{2,3}\b|\bIntel(?:\(R\))? Data Center GPU\b")
_APPLE = re.compile(
    r"\bApple (?:M\d|Silicon)\b|\bMacBook\b|\bM[1-5] (?:Pro|Max|Ultra)\b|\bosx-arm64\b|\bmacosx_\d\d_\d_arm64\b"
)


def other_gpu(text: str) -> Vendor | None:
    """Whose GPU a text names; None where it names none of these."""
    if _AMD.search(text):
        return Vendor.AMD
    if _INTEL.search(text):
        return Vendor.INTEL
    return Vendor.APPLE if _APPLE.search(text) else None
