"""A library needs a newer torch than the one that is installed.

What it is
    transformers, diffusers, accelerate and others state the oldest torch that they work with, and check it only when they run:
    'PyTorch >= 2.4 is required but found 2.1.2', 'we now require users to upgrade torch to at least v2.6'. Libraries that do not
    check ask for names that came later: AttributeError, module 'torch' has no attribute 'float8_e4m3fn'.

Told apart by
    The library's own words name a release, and the installed torch is older. A torch that has not even 'Tensor' or '__version__'
    is no torch: `torch-install-corrupt` or `module-shadowed`. Compiled extensions that were built against another torch are
    `extension-abi-mismatch`.

Repair
    A newer torch that this machine can run; or a release of the library from the time of this torch.

Sources
    huggingface/transformers, src/transformers/utils/import_utils.py; huggingface/diffusers, models/attention_processor.py
"""

from __future__ import annotations

import re

from packaging.version import InvalidVersion, Version

from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.python_environment import fitting_torch
from envdoctor.diagnosis.repairs.torch_install import install_torch
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.interpreter import Torch
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.message_files import beside

_NEEDED = (
    re.compile(
        r"PyTorch\s?>=?\s?(\d\.\d{1,2}(?:\.\d{1,2})?) (?:is|or (?:newer|higher|later) is) required", re.IGNORECASE
    ),
    re.compile(r"upgrade (?:py)?torch to (?:at least )?v?(\d\.\d{1,2}(?:\.\d{1,2})?)", re.IGNORECASE),
    re.compile(r"requires? (?:py)?torch(?: version)?\s?(?:>=|=>)?\s?v?(\d\.\d{1,2}(?:\.\d{1,2})?)", re.IGNORECASE),
    re.compile(r"`?torch>=(\d\.\d{1,2}(?:\.\d{1,2})?)`? (?:is|to be) (?:required|installed)", re.IGNORECASE),
)
# Names that a later torch brought, and that libraries ask for without a check.


MESSAGES = beside(__file__)


@diagnosis(
    "torch-too-old-for-package",
    layer=Layer.PYTORCH,
    severity=Severity.ERROR,
    follows_from=("module-shadowed", "torch-install-corrupt", "torch-duplicate-install"),
    messages=MESSAGES,
    remedy=lambda machine, world: _newer(machine, world),  # noqa: PLW0108  it stands below
    fits=lambda machine, world: _fits(machine, world),  # noqa: PLW0108
)
def torch_too_old_for_package(machine: Snapshot, world: Knowledge) -> Finding | None:
    torch, asked = machine.torch, _asked(machine)
    if torch is None or asked is None or not _older(torch, asked[0]):
        return None
    needed, line = asked
    return Finding(
        summary=f"A library needs torch {needed} or newer, and torch {torch.version} is installed.",
        evidence=(fact("torch.version", torch.version), fact("messages", line[:300])),
        fixes=_newer(machine, world),
        confidence=0.9,
    )


def _asked(machine: Snapshot) -> tuple[str, str] | None:
    """The newest release that a library asks for, and the line."""
    found: list[tuple[Version, str, str]] = []
    for line in machine.messages:
        for pattern in _NEEDED:
            said = pattern.search(line)
            if said is not None:
                found.append((Version(said[1]), said[1], line))
    best = max(found, default=None, key=lambda item: item[0])
    return None if best is None else (best[1], best[2])


def _older(torch: Torch, needed: str) -> bool:
    try:
        return torch.release is not None and Version(torch.release) < Version(needed)
    except InvalidVersion:
        return False


def _fits(machine: Snapshot, world: Knowledge) -> bool | None:
    torch, asked = machine.torch, _asked(machine)
    if torch is None or torch.release is None or asked is None:
        return None
    return _older(torch, asked[0])


def _newer(machine: Snapshot, world: Knowledge) -> tuple[Fix, ...]:
    asked = _asked(machine)
    build = fitting_torch(machine, world, torch=f">={asked[0]}" if asked else None)
    if build is None or machine.torch is None or machine.torch.build is None:
        return ()
    return (install_torch(machine, world, build, why="new enough for the library that asks for it"),)
