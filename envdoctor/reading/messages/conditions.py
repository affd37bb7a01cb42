"""When a message counts whose words alone do not tell the cause: by the library, the file or the lines around it.

Each takes an Occurrence and is pure. They look at lines, never at whole logs, and use substring tests in linear time.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from envdoctor.reading.messages.loader_errors import CUDA_STEMS, LoaderError, Said, read_refusal
from envdoctor.reading.messages.message import Condition, Occurrence
from envdoctor.reading.messages.tracebacks import importing_torch, of_sibling, raised_in

_CAPABILITY = re.compile(
    r"(?:capability sm_|capability \(CC\) |cuda capability |compute capability )(\d{1,2})\.?(\d)\b"
)
_LISTED = re.compile(r"(?:sm|compute)_(\d{1,2})(\d)[a-z]?\b")
_BUILT_FOR = re.compile(r"(\d{1,2})\.(\d) which supports hardware CC")
# torch 1: '(GPU 0; 7.79 GiB total capacity; ... 6.51 GiB reserved in total by PyTorch)'; torch 2: 'GPU 0 has a total capacity
# of 23.69 GiB of which ... this process has 22.99 GiB memory in use' (c10/cuda/CUDACachingAllocator.cpp).
_SIZE = r"(\d{1,6}\.?\d{0,3}) ([KMGT])i?B"
_TOTAL = re.compile(rf"{_SIZE} total capacity|total capaci?ty of {_SIZE}")
# In a container NVML does not know the process by its own number; what torch itself allocated is its own in any case.
_OWN = re.compile(
    rf"{_SIZE} reserved in total|this process has {_SIZE} memory in use|{_SIZE} already allocated"
    rf"|{_SIZE} is allocated by PyTorch"
)
MOST_OF_AN_ANSWER = 30
"""Characters without white space: "() function in the container always returns" is longer."""
_RANGE = re.compile(r"\((\d{1,2})\.(\d)\) - \((\d{1,2})\.(\d)\)")


def refused(kind: str, test: Callable[[LoaderError], bool]) -> Condition:
    """The dynamic loader's word of this kind (see LoaderError), about a library that passes the test."""

    def holds(o: Occurrence) -> bool:
        error = read_refusal(Said("messages", o.line))
        return error is not None and error.kind == kind and test(error)

    return holds


def near(*words: str) -> Condition:
    """One of the words, in lower case, stands in the line or in the lines around it."""

    def holds(o: Occurrence) -> bool:
        return any(word in line.lower() for line in (o.line, *o.before, *o.after) for word in words)

    return holds


def near_line(*words: str) -> Condition:
    """One of the words, in lower case, stands in the line or in the next."""
    return lambda o: any(word in line.lower() for word in words for line in (o.line, *o.after[:1]))


def says_no(o: Occurrence) -> bool:
    """What stands between a question and 'False' reports the answer ('() returns', '() ->'): no code and no other answer."""
    between = o.values.get("how", "").lower()
    return len(between) <= MOST_OF_AN_ANSWER and not any(
        word in between for word in ("true", "else", "assert", "and", "if")
    )


def value(name: str, *words: str) -> Condition:
    """One of the words stands in what took the placeholder's place."""
    return lambda o: any(word in o.values.get(name, "").lower() for word in words)


def without(condition: Condition) -> Condition:
    return lambda o: not condition(o)


def _addon(error: LoaderError) -> bool:
    return not error.of_torch and not of_sibling(error.library)


extension_lacks_torch = refused("symbol", lambda e: bool(e.library) and _addon(e) and e.torch_symbol)
torch_in_torch = refused("symbol", lambda e: e.of_torch and e.torch_symbol)
torch_lacks_cuda = refused("symbol", lambda e: e.of_torch and e.cuda_symbol and not e.wanted.startswith("cudnn"))
cuda_lacks_cuda = refused("symbol", lambda e: not e.of_torch and e.stem in CUDA_STEMS and e.cuda_symbol)
torch_library_missing = refused("missing", lambda e: e.of_torch)
damaged_torch = refused("damaged", lambda e: e.of_torch or e.stem in (*CUDA_STEMS, "libcudnn"))
cuda_library_missing = refused("missing", lambda e: e.stem in CUDA_STEMS)
cuda_near = near("cuda", "nvidia", "torch")
nvidia_near = near("nvidia", "nvrm", "cuda")
torch_near = near("torch")
# A program's own fault breaks every later call, NCCL's too.
not_after_a_fault = without(
    near(
        "device-side assert",
        "illegal memory access",
        "unspecified launch failure",
        "illegal instruction was encountered",
        "misaligned address",
        "assertion `",
    )
)
numpy_there = without(near_line("no module named 'numpy'"))
no_warning = without(near_line("warning:"))
not_found = without(near_line("undefined symbol", "not defined in file"))
torchaudio_near = near("torchaudio", "_torch_sox")
torchvision_near = near("torchvision")
raised_in_torchaudio = raised_in("torchaudio")
raised_in_torchvision = raised_in("torchvision")
of_no_sibling = without(near_line("torchaudio", "_torch_sox", "torchvision"))
wsl_near = near("wsl2", "wsl 2", "wsl1", "wsl 1", "/usr/lib/wsl", "microsoft-standard", "in wsl", "on wsl", "app wsl")
of_no_platform = near(
    "windows arm64", "windows on arm", "win_arm64", "armv6", "armv7", "i686", "win32", "32-bit", "32 bit", "ppc64le",
    "riscv64", "s390x", "musllinux", "alpine", "freebsd", "intel mac", "darwin-x86_64", "macos x86_64", "macos (x86_64)",
)  # fmt: skip
on_a_mac = near("macos", "/users/", "darwin", "apple silicon", "osx-arm64", "macosx")
worker_died = near("bus error", "segmentation fault", "out of shared memory", "dataloader worker")
mig_near = near(
    "mig-", "mig device", "mig mode", "mig gpu", "mig instance", "mig 1g", "mig 2g", "mig 3g", "mig 4g", "mig 7g"
)


def systems_own(o: Occurrence) -> bool:
    """The library that is too old lies in the system's own folder."""
    error = read_refusal(Said("messages", o.line))
    return error is not None and error.library.startswith(("/lib", "/usr/lib")) and "conda" not in error.provider


not_systems_own = without(systems_own)


def cuda_missing_on_import(o: Occurrence) -> bool:
    """torch's own import asks for a CUDA library that is not there."""
    return cuda_library_missing(o) and importing_torch(o)


def ends_there(o: Occurrence) -> bool:
    """Nothing but punctuation follows the words: 'No module named torch', and not 'torch_scatter'."""
    return not o.line.rstrip(" .'\"!)").lower().endswith(("_", "-")) and o.line.rstrip(" .'\"!)").lower().endswith(
        "torch"
    )


def torch_itself(o: Occurrence) -> bool:
    """The requirement is torch and no other project whose name begins so."""
    low = o.line.lower()
    for words in ("requirement torch", "found for torch"):
        _, found, rest = low.partition(words)
        if found:
            return not (rest[:1].isalnum() or rest[:1] in ("-", "_", "."))
    return False


def _judged(o: Occurrence) -> tuple[tuple[int, int], list[tuple[int, int]]] | None:
    """The GPU's capability in torch's warning, and those that the build is said to support."""
    text = " ".join((*o.before[-8:], o.line, *o.after))
    found = (
        _CAPABILITY.search(o.line) or _CAPABILITY.search(" ".join((*o.before[-8:], o.line))) or _CAPABILITY.search(text)
    )
    if found is None:
        return None
    _, marked, rest = text.partition("supports CUDA capabilities")
    listed = [(int(a), int(b)) for a, b in _LISTED.findall(rest[:400])] if marked else []
    listed += [(int(a), int(b)) for a, b in _BUILT_FOR.findall(text)]
    span = _RANGE.search(text)
    if span is not None:
        listed += [(int(span[1]), int(span[2])), (int(span[3]), int(span[4]))]
    return (int(found[1]), int(found[2])), listed


def older_than_listed(o: Occurrence) -> bool:
    """torch's warning is about a GPU below all that its build has code for."""
    judged = _judged(o)
    # Without a list: builds have dropped GPUs up to 7.0, and are rarely too old for those.
    return judged is not None and judged[0] < (min(judged[1]) if judged[1] else (7, 5))


def newer_than_listed(o: Occurrence) -> bool:
    """It is about a GPU above all that has code there. Of the same major version and no lower minor, code runs (8.6 on 8.9)."""
    judged = _judged(o)
    if judged is None or not judged[1]:
        return not older_than_listed(o)
    (major, minor), listed = judged
    return (major, minor) > min(listed) and not any(have == major and low <= minor for have, low in listed)


def own_allocation(o: Occurrence) -> float | None:
    """The share of the GPU's memory that the failing process itself holds, by torch's message; None where it does not say."""
    text = " ".join((o.line, *o.after[:3]))
    total = _size(_TOTAL.search(text))
    own = _size(_OWN.search(text))
    return own / total if own is not None and total else None


def not_all_ones_own(o: Occurrence) -> bool:
    """An out-of-memory that others have a part in, or about which the text says too little to tell.

    A process that holds most of the GPU and wants more asks for too much: no fault of the machine.
    """
    share = own_allocation(o)
    return share is None or share < 0.7


def _size(found: re.Match[str] | None) -> float | None:
    if found is None:
        return None
    number, unit = (group for group in found.groups() if group is not None)
    return float(number) * {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1 << 20}[unit]


def about_operators_of_torch(o: Occurrence) -> bool:
    return "torchvision::" not in o.line and ("aten::" in o.line or "c10::" in o.line)


def basic_attribute(o: Occurrence) -> bool:
    """torch without its most basic names is no torch; a newer or older function that is missing is a matter of releases."""
    return any(
        f"'{name}'" in o.line for name in ("__version__", "Tensor", "tensor", "cuda", "device", "nn", "float32", "load")
    )


# A dump says of every machine without a GPU that CUDA is not available; by itself that is no complaint.
outside_a_dump = without(
    near(
        "is debug build", "is cuda available", "cuda runtime version", "cuda used to build", "sys.platform", "xnnpack",
        "pytorch version (", "transformers version", "pytorch.cuda",
    )
)  # fmt: skip
