"""Lightning's `collect_env_details`: nested lists under CUDA, Lightning, Packages and System."""

from __future__ import annotations

from envdoctor.reading.dumps.label_tables import normal
from envdoctor.reading.dumps.raw_values import Findings
from envdoctor.reading.dumps.text import DumpLine

_PARTS = frozenset(("cuda", "lightning", "packages", "system"))


class Lightning:
    """Reads the four lists; a heading stands alone with its colon."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.part = ""
        self.devices = False

    def feed(self, line: DumpLine) -> bool:
        bare = line.bare
        if not bare or (not self.part and bare[-1] != ":"):
            return False
        label, colon, value = bare.partition(":")
        name, value = normal(label), value.strip()
        if colon and not value and name in _PARTS:
            # "System:" and "CUDA:" are also what people write; without the list below they change nothing.
            self.part, self.devices = name, False
            return True
        if not self.part:
            return False
        sheet = self.findings.current("lightning")
        if self.part == "cuda":
            if name == "gpu" and colon:
                self.devices = True
                return True
            if name in ("available", "version") and colon:
                self.devices = False
                sheet.put("torch.cuda_available" if name == "available" else "torch.cuda", value)
                return True
            if self.devices and line.indent and not colon and len(bare) < 80:
                sheet.add("names", bare)
                return True
        elif self.part == "system":
            if name in ("os", "python", "processor", "release", "version", "architecture") and colon:
                sheet.put(f"system.{name}", value)
                return True
            if bare in ("64bit", "32bit", "ELF", "WindowsPE", "Mach-O", ""):
                return True
        elif colon and value and " " not in value and " " not in label.strip():
            sheet.packages.setdefault(name, value)
            return True
        self.part = ""
        return False
