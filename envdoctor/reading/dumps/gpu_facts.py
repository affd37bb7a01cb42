"""Sheets -> the GPUs as nvidia-smi lists them, and how it failed."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from envdoctor.facts.sections.gpu import Gpu, MigInstance, Nvml
from envdoctor.reading.dumps import values
from envdoctor.reading.dumps.merging import Merged
from envdoctor.reading.dumps.raw_values import says_nothing

_GPU_LINE = re.compile(r"GPU (\d{1,3}):")
_MIG_LINE = re.compile(r"MIG\s+(\S+)")
_CARD = re.compile(
    r"nvidia|geforce|quadro|tesla|\b[rg]tx\b|titan|\b(?:[ABHLTPV]\d{1,3}|GB?\d{2,3}|GH200|RTX ?\d{4})\b", re.IGNORECASE
)
_TIMES = re.compile(r"(\d{1,2})\s?[x*\u00d7]\s?(?=[A-Z])|(?<=\S)\s[x*\u00d7]\s?(\d{1,2})$", re.IGNORECASE)

_CAPABILITY = re.compile(r"(?:capability|\bcc|\bsm_?) ?:? ?(\d{1,2})\.?(\d)\b", re.IGNORECASE)

SILENT = "nvidia-smi gave no list of GPUs: it is missing, or it failed"


def nvml(merged: Merged, system: str | None, hip: bool) -> Nvml | None:
    """The GPUs as nvidia-smi listed them, and how it failed."""
    gpus: dict[int, Gpu] = {}
    answered = False
    message = None
    smi = merged.get("nvidia-smi")
    if smi is not None:
        gpus.update(smi.gpus)
        answered = "driver" in smi.values or "listed" in smi.values or "empty" in smi.values
    for layout in ("collect_env", "nvidia-smi -L"):
        sheet = merged.get(layout)
        lines = sheet.lists.get("gpus", []) if sheet else []
        if lines and not hip:
            answered = True
            _listed(gpus, lines)
    sheet = merged.get("collect_env")
    told = sheet.values.get("gpus") if sheet else None
    if told is not None and not gpus and not hip and system != "Darwin":
        if not says_nothing(told):
            gpus = _by_hand(told)
        elif (
            sheet is not None
            and told
            and says_nothing(sheet.values.get("driver", ""))
            and "distinctive" in sheet.values
        ):
            message = SILENT
    if not gpus and merged.text("gpu.note"):
        gpus = _by_hand(merged.text("gpu.note") or "")
    prose = merged.get("prose")
    if not gpus and prose is not None and not hip and system != "Darwin":
        gpus = _in_prose(prose.lists.get("names", []))
    values_ = smi.values if smi else {}
    status = values_.get("status") or ("SUCCESS" if answered else None)
    code = values_.get("code")
    facts = Nvml(
        source="nvidia-smi" if smi or answered or message else None,
        status=status,
        status_code=int(code) if code else (0 if status == "SUCCESS" else None),
        message=values_.get("message") or message,
        cuda_version=merged.first("cuda", values.two_numbers),
        nvml_version=values.driver(values_.get("nvml")),
        gpus=tuple(gpus[index] for index in sorted(gpus)) if gpus or "empty" in values_ else None,
    )
    return None if facts == Nvml() else facts


def split(text: str) -> tuple[int, str, str | None] | None:
    """'GPU 0: NVIDIA L4 (UUID: GPU-...)' -> 0, its name, its UUID."""
    found = _GPU_LINE.match(text)
    name, _, uuid = text[found.end() :].partition("(UUID:") if found else ("", "", "")
    return (int(found[1]), name.strip(" *`"), uuid.strip(" )") or None) if found and name.strip(" *`") else None


def _apart(name: str) -> tuple[str, str | None]:
    """A card's name and the compute capability that somebody wrote behind it: 'GTX 1050 (compute capability 6.1, 2 GB)'."""
    bare, parenthesis, remark = name.partition(" (")
    capability = _CAPABILITY.search(remark) if parenthesis else None
    return (bare.strip(), f"{capability[1]}.{capability[2]}") if capability else (name, None)


def _listed(gpus: dict[int, Gpu], lines: Iterable[str]) -> None:
    """Lines of `nvidia-smi -L`; their names are whole where the table's are cut."""
    last = None
    for text in lines:
        card = split(text)
        mig = _MIG_LINE.match(text)
        if card and len(gpus) < 256:
            last, text_name, uuid = card
            name, capability = _apart(text_name)
            gpu = gpus.get(last) or Gpu(index=last)
            capability = capability or gpu.compute_capability
            gpus[last] = msgspec.structs.replace(gpu, name=name, uuid=uuid or gpu.uuid, compute_capability=capability)
        elif mig and last is not None:
            uuid = text.partition("(UUID:")[2].strip(" )") or None
            instances = (*(gpus[last].mig_instances or ())[:64], MigInstance(name=mig[1], uuid=uuid))
            gpus[last] = msgspec.structs.replace(gpus[last], mig_enabled=True, mig_instances=instances)


def _in_prose(rows: Iterable[str]) -> dict[int, Gpu]:
    """Cards that running text names, with the compute capability that stands behind a name."""
    found = {}
    for index, row in enumerate(list(rows)[:16]):
        name, _, capability = row.partition("\t")
        found[index] = Gpu(index=index, name=name, compute_capability=capability or None)
    return found


def _by_hand(text: str) -> dict[int, Gpu]:
    """'RTX 3090', '2x Tesla V100': a card that a person named."""
    found: dict[int, Gpu] = {}
    # 'RTX 3090, torch 2.8.0': what follows a comma is another card or another matter.
    for part in re.split(r"[,;]\s", text.replace("**", ""))[:16]:
        name = part.strip("`'\" .")
        if len(name) > 80 or not _CARD.search(name):
            continue
        times = _TIMES.search(name)
        name, capability = _apart(_TIMES.sub("", name).strip() if times else name)
        for _ in range(min(int(times[1] or times[2]), 16) if times else 1):
            found[len(found)] = Gpu(index=len(found), name=name, compute_capability=capability)
    return found
