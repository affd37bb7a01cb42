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
    return (int(found[1]), name.strip(), uuid.strip(" )") or None) if found and name.strip() else None


def _listed(gpus: dict[int, Gpu], lines: Iterable[str]) -> None:
    """Lines of `nvidia-smi -L`; their names are whole where the table's are cut."""
    last = None
    for text in lines:
        card = split(text)
        mig = _MIG_LINE.match(text)
        if card and len(gpus) < 256:
            last, name, uuid = card
            gpu = gpus.get(last) or Gpu(index=last)
            gpus[last] = msgspec.structs.replace(gpu, name=name, uuid=uuid or gpu.uuid)
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
    text = text.strip("`'\" ")
    if len(text) > 80 or not _CARD.search(text):
        return {}
    times = _TIMES.search(text)
    name = _TIMES.sub("", text).strip() if times else text
    count = min(int(times[1] or times[2]), 16) if times else 1
    return {index: Gpu(index=index, name=name) for index in range(count)}
