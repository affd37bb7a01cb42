"""`print(torch.__config__.show())`: the block "PyTorch built with:", which detectron2 and mmcv append to their tables."""

from __future__ import annotations

import re

from envdoctor.reading.dumps.raw_values import Findings
from envdoctor.reading.dumps.text import DumpLine

_GENCODE = re.compile(r"arch=compute_\w{1,8},code=(?:\[)?((?:sm|compute)_\w{1,8})(?:,(compute_\w{1,8}))?")
_SETTING = re.compile(
    r"\b(CUDA_VERSION|CUDNN_VERSION|TORCH_VERSION|USE_CUDA|USE_ROCM|USE_XPU|COMMIT_SHA)=([\w.+-]{1,80})"
)
_ABI = re.compile(r"_GLIBCXX_USE_CXX11_ABI=([01])")
_ITEM = re.compile(
    r"(?:GCC |C\+\+ Version|clang |MSVC|MSVC|Intel\(R\)|OpenMP|OpenMP is|LAPACK|NNPACK|CPU capability|CUDA Runtime|NVCC|CuDNN|"
    r"Built with|Magma|HIP |MIOpen|Build settings|Using |MKL|cuDNN|USE_|BLAS)"
)


class TorchConfig:
    """Reads the block; its items are bullets or indented lines."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.inside = False

    def feed(self, line: DumpLine) -> bool:
        bare = line.bare
        if "PyTorch built with:" in bare:
            self.inside = True
            self.findings.current("torch config").put("seen", "yes")
            return True
        if not self.inside or not bare:
            return False
        if not _ITEM.match(bare):
            self.inside = False
            return False
        sheet = self.findings.current("torch config")
        word, _, rest = bare.partition(" ")
        if bare.startswith("CUDA Runtime "):
            sheet.put("torch.cuda", bare[13:])
        elif word == "CuDNN":
            sheet.put("cudnn.runtime", rest.split(" ", 1)[0])
        elif word == "HIP":
            sheet.put("torch.hip", rest.rpartition(" ")[2])
        elif bare.startswith("NVCC architecture flags"):
            self._arches(bare)
        elif bare.startswith("Build settings"):
            for found in _SETTING.finditer(bare):
                sheet.put(found[1], found[2])
            abi = _ABI.search(bare)
            if abi:
                sheet.put("torch.abi", abi[1])
            if "arch=compute_" in bare:
                self._arches(bare)
            if "USE_NCCL=" in bare or "USE_OPENMP=" in bare:  # the last settings of the line: it was not cut
                sheet.put("complete", "yes")
        return True

    def _arches(self, bare: str) -> None:
        sheet = self.findings.current("torch config")
        if "arches" not in sheet.lists:
            for found in _GENCODE.finditer(bare):
                for arch in found.groups():
                    if arch and arch not in sheet.lists.get("arches", ()):
                        sheet.add("arches", arch)
