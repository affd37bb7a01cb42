"""Package lists: `pip list`, `pip freeze`, `uv pip list`, `conda list`, and Lightning's environment lists."""

from __future__ import annotations

import re

from envdoctor.reading.dumps.raw_values import Findings
from envdoctor.reading.dumps.text import DumpLine

_FREEZE = re.compile(r"([A-Za-z0-9][\w.-]{0,100})(?:\[[\w,.-]{0,80}\])?===?([\w.!+-]{1,80})(?:\s*[;#].{0,200})?$")
_ORIGIN = re.compile(r"([A-Za-z0-9][\w.-]{0,100}) @ (\S{1,500})$")
_ROW = re.compile(r"([A-Za-z0-9][\w.-]{0,100})\s+(\d[\w.!+-]{0,80})(?:\s+\S.{0,300})?$")
_OLD = re.compile(r"([A-Za-z0-9][\w.-]{0,100}) \((\d[\w.!+-]{0,80})(?:, .{0,300})?\)$")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,100}")
# Name, version, conda's build string ('py3.11_cuda12.1_cudnn8.9.2_0', 'h59b6b97_2', 'pypi_0'), channel.
_CONDA_ROW = re.compile(
    r"[a-z0-9][\w.-]{0,100}\s{2,}\d[\w.!+]{0,60}\s{2,}(?:\S{0,60}py\d\S{0,60}_\d{1,3}|\S{0,20}h[0-9a-f]{7}_\S{0,10}|pypi_0|\S{0,60}cuda\S{0,60}_\d{1,3})"
    r"(?:\s{2,}[\w./-]{1,60})?$"
)
_CONDA_HEAD = re.compile(r"# packages in environment at (.{1,300}):$")


class Packages:
    """Reads lists of installed packages."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.kind = ""
        self.shown = ""

    def feed(self, line: DumpLine) -> bool:
        bare = line.bare[:500]
        if not bare:
            return False
        first = bare[0]
        if first == "#":
            return self._conda_head(line.text.strip())
        if not first.isalnum() and not (first == "_" and self.kind == "conda list"):
            # The rule below pip's heading; anything else ends a list.
            if first == "-" and self.kind == "pip list":
                return True
            self.kind = ""
            return False
        if first in "NV" and self._shown(bare):
            return True
        if bare.startswith("Package ") and bare.split()[1:2] == ["Version"]:
            self.kind = "pip list"
            self.findings.current("pip list").put("headed", "yes")
            return True
        if self.kind == "conda list":
            tokens = bare.split()
            if 2 <= len(tokens) <= 6 and tokens[1][:1].isdecimal():
                self.findings.current("conda list").add("conda", bare)
                return True
        elif self.kind == "pip list":
            row = _ROW.match(bare)
            if row:
                self.findings.current("pip list").add("pip", f"{row[1]}=={row[2]}")
                return True
        if _CONDA_ROW.match(bare):  # `conda list | grep torch` has no heading
            self.kind = "conda list"
            self.findings.current("conda list").add("conda", bare)
            return True
        if "==" in bare or " @ " in bare:
            found = _FREEZE.match(bare)
            if found:
                self.findings.current("pip list").add("pip", f"{found[1]}=={found[2]}")
                return True
            found = _ORIGIN.match(bare)
            if found and found[2].startswith(("file:", "git+", "http")):
                self.findings.current("pip list").add("pip", f"{found[1]}==")
                return True
        elif bare[-1] == ")":
            found = _OLD.match(bare)
            if found and found[1].lower() in ("torch", "torchvision", "numpy"):
                self.findings.current("pip list").add("pip", f"{found[1]}=={found[2]}")
                return True
        self.kind = ""
        return False

    def _shown(self, bare: str) -> bool:
        """`pip show`: the name in one line, its version in the next."""
        label, colon, value = bare.partition(": ")
        if label == "Name" and colon and _NAME.fullmatch(value):
            self.shown = value
            return True
        if label == "Version" and colon and self.shown:
            self.findings.current("pip list").add("pip", f"{self.shown}=={value}")
            self.shown = ""
            return True
        return False

    def _conda_head(self, bare: str) -> bool:
        found = _CONDA_HEAD.match(bare)
        if found:
            self.kind = "conda list"
            self.findings.current("conda list").put("prefix", found[1])
            return True
        if bare.startswith("# Name ") and "Version" in bare:
            self.kind = "conda list"
            return True
        return bare == "#"
