"""The parts of collect_env's layouts whose values go over several lines: GPUs, cuDNN's files, the processor, the topology."""

from __future__ import annotations

import re

from envdoctor.reading.dumps.raw_values import Sheet
from envdoctor.reading.dumps.text import DumpLine

PATH = re.compile(r"(?:/|[A-Za-z]:\\)\S")
LISTED = re.compile(r"GPU (\d{1,3}):\s*(\S.*)?$")
_MIG = re.compile(r"MIG\s+\S+.*Device\s+\d+:")
_TOPOLOGY = re.compile(
    r"(?:GPU|NIC|mlx)\S*(?:\s|$)|(?:NIC )?Legend:|(?:X|SYS|NODE|PHB|PXB|PIX|NV#)\s+=|NIC\d+: "
    r"|={3,} .*=$|Could not collect$|N/A$"
)
_CPU_LINE = re.compile(r"[\w() .,/*#+'-]{2,50}[:=]|-{5,}$|\S+( \S+){12,}$")
_CPU_KEYS = {
    "model name": "cpu.model",
    "name": "cpu.model",  # Windows
    "cpu(s)": "cpu.count",
    "architecture": "cpu.machine",
    "hypervisor vendor": "cpu.hypervisor",
}


def continues(section: str, sheet: Sheet, line: DumpLine) -> bool:
    """Takes a line that belongs to the open section; False where it does not."""
    bare = line.bare
    if section == "gpus" and (LISTED.match(bare) or _MIG.match(bare)):
        sheet.add("gpus", bare)
        return True
    if section == "cudnn" and PATH.match(bare):
        sheet.add("cudnn", bare)
        return True
    if section == "cpu":
        return _processor(sheet, bare)
    if section == "topology":
        return _TOPOLOGY.match(bare) is not None
    if section == "intel":
        return line.text.lstrip().startswith("*") or bare == "N/A"
    if section == "nvcc":
        return bare.startswith("Build cuda_")
    if section == "build flags" and "ROCm:" in bare:
        archs = bare.partition("CUDA Archs:")[2].split("; ROCm", 1)[0].strip()
        if archs and archs != "Not Set":  # vLLM prints the variable
            sheet.environment.setdefault("TORCH_CUDA_ARCH_LIST", archs)
        return True
    return False


def _processor(sheet: Sheet, bare: str) -> bool:
    """A line of lscpu, of Windows' processor list or of macOS' brand string."""
    label, separator, value = bare.partition(":") if ":" in bare else bare.partition("=")
    key = _CPU_KEYS.get(label.strip().lower()) if separator else None
    if key:
        sheet.put(key, value)
        return True
    if not separator and bare.startswith(("Apple ", "Intel(R) ")):
        sheet.put("cpu.model", bare)
        return True
    return _CPU_LINE.match(bare) is not None and "rror" not in bare
