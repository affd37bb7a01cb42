"""What went wrong, in the words of the dynamic loader and of Python's import: read once, judged by several diagnoses.

Plain substring tests on single lines, in linear time. Wordings: glibc's elf/dl-load.c, dl-lookup.c, dl-version.c; cuDNN 8, 9.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

import msgspec

from envdoctor.facts.evidence import Evidence, fact
from envdoctor.facts.model import Snapshot

LONGEST = 2_000
CUDA_STEMS = (
    "libcudart", "libcudss", "libcublas", "libcublasLt", "libcufft", "libcufile", "libcupti", "libcurand", "libcusolver",
    "libcusparse", "libcusparseLt", "libnccl", "libnvrtc", "libnvJitLink", "libnvToolsExt", "libnvshmem_host",
)  # fmt: skip
"""Libraries that come in nvidia-* wheels, in conda and in the toolkit alike; cuDNN has diagnoses of its own."""

_CUDA_SYMBOLS = (
    "cuda", "nvtx", "cublas", "cusparse", "cusolver", "cufft", "curand", "cufile", "cupti", "nccl", "nvrtc", "nvjitlink",
    "nvshmem",
)  # fmt: skip
_TORCH_STEMS = (
    "libtorch", "libtorch_hip", "libtorch_xpu", "libtorch_nvshmem", "libc10", "libshm", "libcaffe2_nvrtc",
    "c10", "c10_cuda", "torch_cpu", "torch_cuda", "torch_python", "shm",
    "fbgemm",
)  # fmt: skip


_HASH = re.compile(r"-[0-9a-f]{6,16}$")


class Said(msgspec.Struct, frozen=True):
    """One line of an error or warning, and the fact that it is from."""

    fact: str
    text: str

    def evidence(self) -> Evidence:
        return fact(self.fact, " ".join(self.text.split())[:300])


class LoaderError(msgspec.Struct, frozen=True):
    """A refusal of the dynamic loader.

    kind: 'missing' (`library` was not found), 'symbol' (`library` wants the symbol `wanted`, of `provider` where that is said),
    'version' (`library` is too old to have the version `wanted` that `provider` requires), 'damaged' (`library` is no library).
    """

    said: Said
    kind: str
    library: str
    """A path, or a name without one."""
    wanted: str = ""
    provider: str = ""

    @property
    def stem(self) -> str:
        """'libcudnn_ops_infer' of /x/libcudnn_ops_infer.so.8."""
        return stem(self.library)

    @property
    def of_torch(self) -> bool:
        """Whether `library` is one of torch's own."""
        # Through RPATH the loader names libraries as .../torch/lib/../../nvidia/cusparse/lib/libcusparse.so.12.
        path = posixpath.normpath(self.library.replace("\\", "/"))
        if "/torch/lib/" in path:
            return True
        name = self.stem
        return (
            "/torch/_C." in path
            or name in _TORCH_STEMS
            or name.startswith(("libtorch_c", "libtorch_p", "libtorch_g", "libc10_"))
        )

    @property
    def of_cuda(self) -> bool:
        """Whether torch or a CUDA library misses a CUDA library, or a function of one."""
        if self.kind == "missing":
            # Said by a program of its own it may be a library of another CUDA than torch's.
            return self.stem in CUDA_STEMS and self.said.fact == "torch.run.error"
        known = self.of_torch or self.library == "" or self.stem in (*CUDA_STEMS, "libcudnn")
        return self.kind == "symbol" and self.cuda_symbol and known

    @property
    def torch_symbol(self) -> bool:
        """Whether the symbol is of torch's C++ interface (mangled names of at::, c10::, torch::, caffe2::)."""
        return self.wanted.startswith("_Z") and any(
            space in self.wanted for space in ("2at", "3c10", "5torch", "6caffe2")
        )

    @property
    def cuda_symbol(self) -> bool:
        """Whether the symbol is of a CUDA library."""
        return self.wanted.lower().lstrip("_").startswith(_CUDA_SYMBOLS) or stem(self.provider) in CUDA_STEMS


def said(machine: Snapshot) -> Iterator[Said]:
    """Every line of what torch, its import and a pasted text complained of."""
    run = machine.torch.run if machine.torch else None
    if run is not None:
        texts = [("torch.run.error", run.error)] if run.outcome != "ok" else []
        texts += [
            ("torch.run.cuda_error", run.cuda_error),
            ("torch.run.computation", run.computation),
            ("torch.run.cudnn_error", run.cudnn_error),
            ("torch.run.cudnn_convolution", run.cudnn_convolution),
        ]
        texts += [("torch.run.warnings", warning) for warning in run.warnings]
        for name, text in texts:
            for line in (text or "").splitlines():
                if line not in ("ok", "wrong"):
                    yield Said(name, line[:LONGEST])
    for line in machine.messages:
        yield Said("messages", line[:LONGEST])


def first_saying(machine: Snapshot, *parts: str) -> Said | None:
    """The first line that holds one of these, upper and lower case alike."""
    lowered = [part.lower() for part in parts]
    for line in said(machine):
        low = line.text.lower()
        if any(part in low for part in lowered):
            return line
    return None


def loader_errors(machine: Snapshot) -> tuple[LoaderError, ...]:
    """What the loader refused, in the order in which it was said."""
    return tuple(error for line in said(machine) if (error := read_refusal(line)) is not None)


def stem(library: str) -> str:
    """The file's name up to its ending: 'libcudart' of libcudart.so.12, 'fbgemm' of C:\\x\\fbgemm.dll."""
    name = library.replace("\\", "/").rpartition("/")[2]
    for ending in (".so", ".dll", ".dylib", ".pyd", ".cpython"):
        name = name.partition(ending)[0]
    # The hash that auditwheel adds: libgomp-a34b3233.so.1, libcudart.41118559.so.12; libnccl-net is a library of its own.
    return _HASH.sub("", name).partition(".")[0]


def soname_major(library: str) -> int | None:
    """12 of libcudart.so.12 and libcudart.so.12.4.127, 8 of cudnn_ops_infer64_8.dll; None where the name has none."""
    name = library.replace("\\", "/").rpartition("/")[2]
    digits = (
        name.partition(".so.")[2].partition(".")[0] or name.partition(".dll")[0].rpartition("64_")[2].partition(".")[0]
    )
    return int(digits) if digits.isdecimal() else None


def read_refusal(line: Said) -> LoaderError | None:
    """The refusal that a line tells of."""
    text = line.text
    left, found, right = text.partition("undefined symbol")
    if found:
        library = _last(left) if left.endswith(": ") and ("/" in left or ".so" in left) else ""
        right = right.lstrip(": ")
        return LoaderError(line, "symbol", library, _first(right), _first(right.partition(", version ")[2]))
    left, found, right = text.partition(" not defined in file ")
    if found:
        library, _, symbol = left.partition(": symbol ")
        return LoaderError(line, "symbol", _last(library), _first(symbol), _first(right))
    left, found, right = text.partition(": version `")
    if found and "' not found" in right:
        wanted, _, rest = right.partition("' not found")
        return LoaderError(line, "version", _last(left), wanted, _first(rest.partition("(required by ")[2]).rstrip(")"))
    left, found, _ = text.partition(": cannot open shared object file")
    if found:
        return LoaderError(line, "missing", _last(left))
    for words in (": file too short", ": invalid ELF header", ": cannot read file data", ": ELF load command"):
        left, found, _ = text.partition(words)
        if found:
            return LoaderError(line, "damaged", _last(left))
    for words in ("Unable to load any of {", "Could not load library ", "Could not locate "):
        _, found, right = text.partition(words)
        name = _first(right).rstrip(".,}")
        if found and (".so" in name or name.endswith(".dll")):
            return LoaderError(line, "missing", name)
    return None


def _last(text: str) -> str:
    words = text.rstrip(": ").split()
    return words[-1].strip("'\"`(") if words else ""


def _first(text: str) -> str:
    words = text.split(None, 1)
    return words[0].strip("'\"`,;") if words else ""
