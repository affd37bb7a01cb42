"""One-line banners that programs print at their start: Ultralytics and YOLOv5."""

from __future__ import annotations

import re

from envdoctor.reading.dumps.raw_values import Findings
from envdoctor.reading.dumps.text import DumpLine

# 'Ultralytics 8.3.40 Python-3.11.10 torch-2.5.1+cu124 CUDA:0 (NVIDIA L4, 22700MiB)'; YOLOv5 of 2021 writes 'torch 1.10.0+cu111'.
_BANNER = re.compile(
    r"(?:Ultralytics|YOLOv\d).{0,80}?(?:Python-([\d.]{3,8})\S{0,10} )?torch[- ](\d[\w.+-]{2,40}) (CUDA:\d|CPU|MPS)"
)
_DEVICE = re.compile(r"CUDA:(\d{1,2}) \(([^(),]{3,80}),")


class Banners:
    """Reads the banner; the devices after the first stand on lines of their own."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.open = False

    def feed(self, line: DumpLine) -> bool:
        bare = line.bare[:500]
        banner = _BANNER.match(bare) if bare.startswith(("Ultralytics", "YOLOv")) else None
        if banner:
            sheet = self.findings.current("banner", start="torch.version")
            if banner[1]:
                sheet.put("python", banner[1])
            sheet.put("torch.version", banner[2])
            sheet.put("torch.cuda_available", "True" if banner[3].startswith("CUDA") else "False")
        self.open = banner is not None or (self.open and bare.startswith("CUDA:"))
        if self.open:
            for device in _DEVICE.finditer(bare):
                self.findings.current("banner").add("names", device[2])
        return self.open
