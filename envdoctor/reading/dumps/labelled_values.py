"""Dumps of labelled values: torch's collect_env and its cousins (vLLM, sglang, detectron2, mmcv, transformers, ds_report).

One reader for all, because they come mixed and cut; which table of labels counts depends on what was last seen for sure.
"""

from __future__ import annotations

import re

from envdoctor.reading.dumps import sections
from envdoctor.reading.dumps.label_tables import (
    COLLECT_ENV,
    DISTINCTIVE,
    NOTES,
    REPORT,
    REPORT_MARKS,
    TABLE,
    TABLE_PACKAGES,
    normal,
)
from envdoctor.reading.dumps.raw_values import Findings, Sheet, says_nothing
from envdoctor.reading.dumps.text import DumpLine, is_rule

_SECTIONS = {  # the headlines of vLLM's layout
    "system info": "",
    "pytorch info": "",
    "python environment": "",
    "cuda / gpu info": "",
    "intel xpu / gpu info": "",
    "cpu info": "cpu",
    "versions of relevant libraries": "libraries",
    "vllm info": "",
    "lmcache info": "",
    "environment variables": "environment",
}
_COLUMNS = re.compile(r"\s{2,}")
_DOTS = re.compile(r"\.{4,}")
_DEVICE = re.compile(r"GPU\s+(\d{1,3}(?:\s?,\s?\d{1,3})*)(\s+Compute Capability)?(?:\s*:\s*|\s+)(\S.*)$", re.IGNORECASE)
_COMPILER = re.compile(r"Compiler (?:GCC|[Cc]lang|MSVC|AppleClang)\s?\d")
_PACKAGE = re.compile(r"[A-Za-z][\w.-]{0,60}$")
_VERSION = re.compile(r"v?\d+(?:\.\d+)+\S*$|\d{4,}$|Module Not Found$")
_SYS_VERSION = re.compile(r"[23]\.\d+\.\d+\S*\s*[(|]")
_MPS = re.compile(r"Is MPS (?:\([\w ]{1,40}\) )?(built|available)\? (True|False)$")


class Labelled:
    """Reads label-and-value lines into sheets."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.mode = ""
        self.section = ""
        self.ruled = False
        self.missed = 0
        self.sheet: Sheet | None = None

    def feed(self, line: DumpLine) -> bool:
        """Takes a line; False where it is none of these layouts'."""
        taken = self._feed(line)
        if taken:
            self.missed = 0
        elif line.bare and self.mode:
            # A table has no end of its own. Words that look like its rows are prose again after some lines of prose.
            self.missed += 1
            if self.mode == "table" and self.missed > 2:
                self.mode = ""
        return taken

    def _feed(self, line: DumpLine) -> bool:
        bare = line.bare
        if not bare:
            return False
        if is_rule(bare):
            self.ruled = True
            return True
        ruled, self.ruled = self.ruled, False
        if bare.startswith("[") and self._package(bare):
            return True
        if self._headline(bare, ruled) or self._label(line):
            return True
        if self.section and self._continue(line):
            return True
        if (self.mode == "table" or self._table_starts(bare)) and self._table_row(bare):
            return True
        mps = _MPS.match(bare) if bare.startswith("Is MPS") else None
        if mps:
            if mps[1] == "available":
                self._open("collect_env").put("torch.mps_available", mps[2])
            return True
        if bare.startswith("xFormers ") and _VERSION.match(bare, 9):  # the first line of xformers.info
            self._open("report").packages.setdefault("xformers", bare[9:])
            return True
        if bare.startswith("GPU ") and sections.LISTED.match(bare) and "nvidia" in bare.lower():
            self._open("nvidia-smi -L").add("gpus", bare)
            return True
        return False

    def _open(self, layout: str, start: str | None = None) -> Sheet:
        sheet = self.findings.current(layout, start=start)
        self.sheet = sheet
        return sheet

    def _package(self, bare: str) -> bool:
        """`[pip3] torch==2.0.1`, `[conda] pytorch  2.0  py3.9_cpu_0  pytorch`."""
        tag, bracket, rest = bare[1:].partition("]")
        if not bracket or tag not in ("pip", "pip3", "conda"):
            return False
        self.mode, self.section = "collect_env", "libraries"
        sheet = self._open("collect_env")
        sheet.add("conda" if tag == "conda" else "pip", rest.strip())
        if tag == "conda":
            sheet.closed.add("pip")
        return True

    def _headline(self, bare: str, ruled: bool) -> bool:
        low = bare.lower()
        if low.startswith("collecting environment information"):
            self.mode, self.section = "collect_env", ""
            return True
        if ruled and low in _SECTIONS:
            self.mode, self.section = "collect_env", _SECTIONS[low]
            self.findings.current("collect_env").title = "vllm collect_env"
            return True
        return False

    def _label(self, line: DumpLine) -> bool:
        bare = line.bare
        label, colon, value = bare.partition(":")
        if not colon or len(label) > 90:
            if "...." not in bare:
                return False
            parts = _DOTS.split(bare, maxsplit=1)
            if len(parts) != 2:
                return False
            label, value = parts
        name = normal(label)
        if name not in _KNOWN:
            return False
        if self.section == "environment" and not line.indent and "=" in label:
            return False
        return self._named(name, value.strip(), indent=line.indent)

    def _named(self, name: str, value: str, *, indent: int) -> bool:
        """One known label with its value, put where it belongs."""
        if name in DISTINCTIVE:
            self.mode = "collect_env"
        elif name in ("sys.platform", "cuda available", "gpu available") or (
            name == "python" and _SYS_VERSION.match(value)
        ):
            self.mode = "table" if self.mode != "report" else "report"
        elif name in REPORT_MARKS:
            self.mode = "report"
            sheet = self._open("report")
            sheet.title = sheet.title or REPORT_MARKS[name]
            if name.endswith(" version") and not says_nothing(value):
                sheet.packages.setdefault(name.split()[-2], value)
            if name not in REPORT:
                return True
        if self.mode == "table" and name in TABLE:
            return self._tabled(name, value)
        if self.mode == "report" and name in REPORT:
            return self._put("report", REPORT[name], value)
        if self.section == "cpu" and name not in ("versions of relevant libraries", "pytorch version"):
            return False
        if name in COLLECT_ENV:
            return self._collected(name, value)
        if name in REPORT and name.startswith(("pytorch version (", "pytorch.", "gpu.", "build.")):
            self.mode = "report"
            return self._put("report", REPORT[name], value)
        if name in NOTES and value and not indent and (name != "kernel" or value[0].isdecimal()):
            self._put("notes", NOTES[name], value)
        return False

    def _put(self, layout: str, key: str, value: str) -> bool:
        self.section = ""
        sheet = self._open(layout, start="torch.version" if key == "torch.version" else None)
        if key != "ignored":
            sheet.put(key, value)
        return True

    def _tabled(self, name: str, value: str) -> bool:
        key = TABLE[name]
        self._put("table", key, value)
        sheet = self.findings.current("table")
        if key in TABLE_PACKAGES:
            sheet.packages.setdefault(key, value)
        for mark in ("detectron2", "sglang", "mmcv", "mmengine"):
            if name.startswith(mark):
                sheet.title = "sglang check_env" if mark == "sglang" else mark
        return True

    def _collected(self, name: str, value: str) -> bool:
        key = COLLECT_ENV[name]
        if key in ("topology", "build flags", "intel", "libraries"):
            self.section = key
            if key != "intel" or value:
                return True
        self._put("collect_env", key, value)
        sheet = self.sheet or self._open("collect_env")
        if name in DISTINCTIVE:
            sheet.values["distinctive"] = "yes"
        if key == "vllm":
            sheet.title = "vllm collect_env"
        if key == "gpus":
            self.section = "gpus"
            if value.startswith("GPU "):
                sheet.add("gpus", value)
        elif key == "cudnn":
            self.section = "cudnn"
            if sections.PATH.match(value):
                sheet.add("cudnn", value)
        elif key == "cpu":
            self.section = "cpu"
        elif key == "intel":
            self.section = "intel"
        elif key == "nvcc":
            self.section = "nvcc"
        return True

    def _continue(self, line: DumpLine) -> bool:
        """A line of a value that goes over several lines."""
        sheet = self.sheet or self._open("collect_env")
        taken = sections.continues(self.section, sheet, line)
        if not taken and self.section != "environment":
            self.section = ""
        return taken

    def _table_starts(self, bare: str) -> bool:
        """Whether detectron2's columns begin here."""
        name, _, value = bare.partition(" ")
        columns = value.startswith(" ")
        value = value.strip()
        if (name == "sys.platform" and len(value) < 10) or (name == "Python" and columns and _SYS_VERSION.match(value)):
            self.mode = "table"
            return True
        if name == "Python" and _SYS_VERSION.match(value):  # the banner of an interactive Python
            self._open("python session").put("python", value)
        return False

    def _table_row(self, bare: str) -> bool:
        """A row of detectron2's columns, a GPU, or one of sglang's package lines."""
        sheet = self.findings.current("table")
        device = _DEVICE.match(bare)
        if device:
            sheet.add("capabilities" if device[2] else "devices", f"{device[1]}\t{device[3]}")
            return True
        columns = _COLUMNS.split(bare, maxsplit=1)
        if len(columns) == 2 and normal(columns[0]) in TABLE:
            return self._tabled(normal(columns[0]), columns[1])
        if len(columns) == 2 and ":" not in bare:
            return _PACKAGE.match(columns[0]) is not None and _VERSION.match(columns[1]) is not None
        name, colon, value = bare.partition(":")
        value = value.strip()
        if colon and _PACKAGE.match(name) and _VERSION.match(value):
            if value != "Module Not Found":
                sheet.packages.setdefault(name, value)
            return True
        if bare.startswith("Python ") and _SYS_VERSION.match(bare, 7):
            return self._tabled("python", bare[7:])
        # A table copied from a rendered page has single spaces left.
        low = bare.lower()
        best = max((k for k in _SINGLE if low.startswith(k)), key=len, default="")
        if best == "compiler " and not _COMPILER.match(bare):
            return False
        return bool(best) and self._tabled(best.rstrip(), bare[len(best) :].strip())


_KNOWN = frozenset((*COLLECT_ENV, *TABLE, *REPORT, *REPORT_MARKS, *NOTES))
_SINGLE = tuple(f"{name} " for name in TABLE if name not in ("python", "gcc"))
