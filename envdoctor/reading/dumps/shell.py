"""What people paste from a shell or a Python prompt: uname, os-release, nvcc, gcc, ldd, variables, `torch.__version__`."""

from __future__ import annotations

import re

from envdoctor.reading.dumps.raw_values import Findings
from envdoctor.reading.dumps.text import DumpLine

_VARIABLE = re.compile(
    r"(?:export\s+|set\s+|declare -x\s+|ENV\s+|\$env:)?((?:CUDA|NVIDIA|NCCL|TORCH|PYTORCH|CUBLAS|CUDNN|OMP|MKL|KMP|VLLM|LD|"
    r"PYTHON|CONDA|VIRTUAL|HIP|ROCR|HSA|ROCM|TRITON|XLA|LIBRARY|GOMP|SLURM|DYLD|UV|PIP)_?[A-Z0-9_]{0,60}|PATH|PYTHONPATH|CUDAHOSTCXX)\s?=\s?(.*)$"
)
_UNAME = re.compile(
    r"(?:\$ ?uname -\w+\s+)?(Linux|Darwin)\s+\S{1,80}\s+(\d+\.\d+\S{0,80})\s.{0,200}?\b(x86_64|aarch64|arm64|ppc64le)\b"
)
_RELEASE = re.compile(r'(PRETTY_NAME|NAME|VERSION_ID|VERSION_CODENAME|ID_LIKE|ID)="?([^"]{0,120})"?$')
_NVCC = re.compile(r"Cuda compilation tools, release \d+\.\d+, V(\d+\.\d+(?:\.\d+)?)")
_GCC = re.compile(r"(?:gcc|g\+\+|cc|c\+\+)(?:-\d+)? \([^()]{1,80}(?:\([^()]{0,40}\)[^()]{0,40})?\) (\d+\.\d+\S{0,20})")
_LDD = re.compile(r"ldd \((?:GNU libc|Ubuntu GLIBC|Debian GLIBC|Ubuntu EGLIBC)?[^()]{0,60}\) (2\.\d{1,2})$")
_MODULE = re.compile(
    r"NVRM version:\s{0,4}NVIDIA UNIX .{0,20}?(Open )?Kernel Module(?: for \w{3,8})?\s{1,4}(\d{3}\.\d{1,3}(?:\.\d{1,3})?)\b"
)
_KERNEL = re.compile(r"\bNVRM: |\bXid \(")
_PROMPT = re.compile(
    r"(?:\(\S{1,40}\) )?"
    r"(?:>>>|\[\S{1,60}@\S{1,60} [^\]]{1,80}\][$#]|In \[\d{1,4}\]:|\(Pdb\)|\$|#|\S{1,60}[@:]\S{0,120}[$#])\s?(.{1,300})$"
)
_QUOTED = re.compile(r"(?:Out\[\d{1,4}\]: ?)?['\"]?(\d+\.\d+[\w.+-]{0,40})['\"]?$")
_COUNT = re.compile(r"(?:Out\[\d{1,4}\]: ?)?(\d{1,3})$")
_BOOL = re.compile(r"(?:Out\[\d{1,4}\]: ?)?(True|False)$")
_ARCH = re.compile(r"\b(?:sm|compute)_\d{2,3}[a-z]?\b")
_ECHO = re.compile(r"echo\s+\"?\$\{?([A-Z_]{3,40})\}?\"?$")
# print(torch.__version__, torch.cuda.get_arch_list(), torch.cuda.get_device_capability()), which envdoctor asks for.
_CODE = re.compile(r"(\d\.\d+\.\d\S*) \[((?:'(?:sm|compute)_\w{2,5}'(?:, )?)+)\](?: \((\d{1,2}), (\d)\))?$")
# The expression asked at a prompt -> the name of its answer.
_ASKED = (
    ("torch.__version__", "torch.version"),
    ("torch.version.cuda", "torch.cuda"),
    ("torch.cuda.is_available()", "torch.cuda_available"),
    ("torchvision.__version__", "torchvision"),
    ("torch.backends.cudnn.version()", "cudnn.number"),
    ("torch.cuda.get_device_name", "device"),
    ("torch.cuda.get_arch_list()", "arches"),
    ("torch.cuda.device_count()", "torch.device_count"),
)


class Shell:
    """Reads commands' output and the answers of a Python prompt."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.asked: list[str] = []

    def feed(self, line: DumpLine) -> bool:
        bare = line.bare
        if not bare:
            return False
        if bare[0].isdigit() and "['" in bare and (code := _CODE.match(bare)):
            self._code(code)
            return True
        if self.asked:
            answered = self._answer(bare)
            if answered:
                return True
        first = bare[0]
        if "=" in bare and first in "ACDEGHKLMNOPRSTUVXIedns$" and self._assignment(bare):
            return True
        if "torch" in bare or "$" in bare:
            self._question(bare)
        if "compilation tools" in bare:
            found = _NVCC.match(bare)
            if found:
                self.findings.current("nvcc").put("nvcc", found[1])
                return True
        if first in "LD$" and bare.startswith(("Linux ", "Darwin ", "$")):
            found = _UNAME.match(bare)
            if found:
                sheet = self.findings.current("uname")
                sheet.put("system", found[1])
                sheet.put("kernel", found[2])
                sheet.put("machine", found[3])
                return True
        if "NVRM" in bare or "Xid" in bare:
            return self._kernel_line(bare)
        if first in "gc" and bare.startswith(("gcc", "g++", "cc ", "c++ ")):
            found = _GCC.match(bare)
            if found:
                self.findings.current("compiler").put("gcc", found[1])
                return True
        if first == "l" and bare.startswith("ldd ("):
            found = _LDD.match(bare)
            if found:
                self.findings.current("ldd").put("glibc", found[1])
                return True
        return bare.startswith(
            ("nvcc: NVIDIA (R) Cuda compiler driver", "Copyright (c) 2005-20", "Built on ", "Build cuda_")
        )

    def _code(self, found: re.Match[str]) -> None:
        """torch's version, the architectures that it has code for, and the GPU's compute capability, in one line."""
        self.asked = []
        sheet = self.findings.current("python session")
        sheet.put("torch.version", found[1])
        for arch in _ARCH.findall(found[2]):
            sheet.add("arches", arch)
        if found[3]:
            sheet.put("gpu.capability", f"{found[3]}.{found[4]}")

    def _kernel_line(self, bare: str) -> bool:
        """A line of the kernel's log, and /proc/driver/nvidia/version; both stay messages as well."""
        version = _MODULE.search(bare)
        if version:
            sheet = self.findings.current("kernel module")
            sheet.put("module", version[2])
            sheet.put("flavour", "open" if version[1] else "proprietary")
        elif _KERNEL.search(bare):
            self.findings.current("kernel log").add("lines", bare[:500])
        return False

    def _assignment(self, bare: str) -> bool:
        found = _RELEASE.match(bare)
        if found:
            self.findings.current("os-release").put(found[1], found[2])
            return True
        found = _VARIABLE.match(bare)
        if not found:
            return False
        name, value = found[1], found[2].strip()
        if value[:1] in ("'", '"') and value[-1:] == value[:1]:
            value = value[1:-1]
        elif " " in value and name not in ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH"):
            # `CUDA_VISIBLE_DEVICES=1 python train.py`: the variable of that one command, whose line stays a message.
            self.findings.current("environment").environment.setdefault(name, value.split(" ", 1)[0])
            return False
        if "$" in value or "%" in value:  # not expanded: what it became is unknown
            return False
        environment = self.findings.current("environment").environment
        if len(environment) < 500:
            environment.setdefault(name, value)
        return True

    def _question(self, bare: str) -> None:
        found = _PROMPT.match(bare)
        code = found[1] if found else bare if bare.startswith(("python", "print(", "torch.")) else ""
        if not code:
            return
        asked = sorted((code.find(text), key) for text, key in _ASKED if text in code)
        if asked:
            self.asked = [key for _, key in asked]
            return
        echo = _ECHO.search(code)
        if echo:
            self.asked = [f"echo {echo[1]}"]

    def _answer(self, bare: str) -> bool:
        """The line after a question, where it has the form of an answer; several at once were asked by one print."""
        keys, self.asked = self.asked, []
        if keys[0].startswith("echo "):
            if bare.startswith(("/", ":")) or bare.replace(",", "").isdecimal():
                self.findings.current("environment").environment.setdefault(keys[0][5:], bare)
                return True
            return False
        words = bare.split() if len(keys) > 1 else [bare]
        if len(keys) > 1 and len(words) == 1:
            self.asked, words = keys[1:], [bare]  # one print a line
        taken = False
        for key, word in zip(keys, words, strict=False):
            answer = word.strip("(),")
            form = {"torch.cuda_available": _BOOL, "torch.device_count": _COUNT}.get(key, _QUOTED)
            found = form.match(answer)
            if key == "arches" and "sm_" in bare:
                for arch in _ARCH.findall(bare):
                    self.findings.current("python session").add("arches", arch)
                taken = True
            elif key == "device" and ("NVIDIA" in bare or "GeForce" in bare or "Tesla" in bare):
                self.findings.current("python session").add("names", bare.strip("'\""))
                taken = True
            elif found:
                self.findings.current("python session").put(key, found[1])
                taken = True
            elif key == "torch.cuda" and answer == "None":
                self.findings.current("python session").put(key, "None")
                taken = True
        if not taken:
            self.asked = []
        return taken
