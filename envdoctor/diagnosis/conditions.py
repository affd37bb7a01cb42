"""When a message counts whose words alone do not tell the cause: by the library, the file or the lines around it.

Each takes an Occurrence and is pure. They look at lines, never at whole logs, and use substring tests in linear time.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from envdoctor.diagnosis.loader_errors import CUDA_STEMS, LoaderError, Said, read_refusal
from envdoctor.diagnosis.model import Occurrence

Condition = Callable[[Occurrence], bool]

# Pure Python, or users' own code: a traceback that ends in them does not mean that a compiled add-on failed.
PURE_PYTHON = (
    "torch", "transformers", "diffusers", "accelerate", "lightning", "pytorch_lightning", "lightning_fabric", "timm", "numpy",
    "peft", "trl", "datasets", "huggingface_hub", "safetensors", "ultralytics", "fastai", "sentence_transformers", "torchmetrics",
    "einops", "gradio", "open_clip", "clip", "whisper", "ignite", "tqdm", "sklearn", "scipy",
)  # fmt: skip
# Parts of the paths of torch's own sources, in its messages of all times.
OWN_SOURCES = ("aten/", "c10/", "torch/csrc", "/pytorch", "thc", "caffe2/")
# CPython's frames, and IPython's: 'File ~/lib/python3.12/site-packages/x.py:12, in f'.
_FRAME = re.compile(r'File "([^"\n]{1,400})", line \d|File ([^\s":,]{1,400}\.py):\d')
_CAPABILITY = re.compile(
    r"(?:capability sm_|capability \(CC\) |cuda capability |compute capability )(\d{1,2})\.?(\d)\b"
)
_LISTED = re.compile(r"(?:sm|compute)_(\d{1,2})(\d)[a-z]?\b")
_BUILT_FOR = re.compile(r"(\d{1,2})\.(\d) which supports hardware CC")
# torch 1: '(GPU 0; 7.79 GiB total capacity; ... 6.51 GiB reserved in total by PyTorch)'; torch 2: 'GPU 0 has a total capacity
# of 23.69 GiB of which ... this process has 22.99 GiB memory in use' (c10/cuda/CUDACachingAllocator.cpp).
_SIZE = r"(\d{1,6}\.?\d{0,3}) ([KMGT])i?B"
_TOTAL = re.compile(rf"{_SIZE} total capacity|total capaci?ty of {_SIZE}")
_OWN = re.compile(rf"{_SIZE} reserved in total|this process has {_SIZE} memory in use|{_SIZE} already allocated")
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


def value(name: str, *words: str) -> Condition:
    """One of the words stands in what took the placeholder's place."""
    return lambda o: any(word in o.values.get(name, "").lower() for word in words)


def without(condition: Condition) -> Condition:
    return lambda o: not condition(o)


def _ours(name: str) -> bool:
    return any(sibling in name for sibling in ("torchvision", "torchaudio"))


def _addon(error: LoaderError) -> bool:
    return not error.of_torch and not _ours(error.library)


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


def systems_own(o: Occurrence) -> bool:
    """The library that is too old lies in the system's own folder."""
    error = read_refusal(Said("messages", o.line))
    return error is not None and error.library.startswith(("/lib", "/usr/lib")) and "conda" not in error.provider


not_systems_own = without(systems_own)


def frames(o: Occurrence) -> list[str]:
    """The files of the traceback that stands before the line, the innermost last."""
    return [(found[1] or found[2]).replace("\\", "/") for line in o.before for found in _FRAME.finditer(line)]


def package_of(path: str) -> str | None:
    """'flash_attn' of /x/site-packages/flash_attn/interface.py; None for a file outside installed packages."""
    for folder in ("/site-packages/", "/dist-packages/"):
        _, found, rest = path.rpartition(folder)
        if found:
            return rest.partition("/")[0].removesuffix(".py")
    return None


def raised_by_addon(o: Occurrence) -> bool:
    """The innermost frames are of an installed package that brings compiled code, or name a compiled file that is not torch's."""
    inner = frames(o)[-1:]
    package = package_of(inner[0]) if inner else None
    if package is not None and package not in PURE_PYTHON and not _ours(package):
        return True
    return any(_file_of_addon(word) for word in o.line.replace("(", " ").replace(")", " ").split())


def _file_of_addon(word: str) -> bool:
    name = word.replace("\\", "/").strip("'\",:;")
    name = name.partition(":")[0] if "/" in name else name
    source = name.endswith((".cu", ".cuh", ".cpp", ".h")) or ".cu:" in word or ".h:" in word
    return source and not any(
        own in name for own in ("aten/src", "/c10/", "c10/cuda", "torch/csrc", "/pytorch/", "ATen/")
    )


def importing_torch(o: Occurrence) -> bool:
    """torch's own import stands before: its __init__.py is the innermost frame but for ctypes."""
    inner = [path for path in frames(o) if not path.endswith("/ctypes/__init__.py")]
    return bool(inner) and inner[-1].endswith("/torch/__init__.py")


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


def local_module(o: Occurrence) -> bool:
    """A circular import of a name whose file lies outside the installed packages and outside Python's own library."""
    paths = [o.values.get("path", ""), *re.findall(r"\((/[^()\s]{1,300}\.py|[A-Za-z]:\\[^()]{1,300}\.py)\)", o.line)]
    known = (
        "torch",
        "numpy",
        "random",
        "typing",
        "queue",
        "types",
        "torchvision",
        "triton",
        "code",
        "copy",
        "inspect",
        "logging",
    )
    for path in filter(None, paths):
        plain = path.replace("\\", "/")
        name = plain.rpartition("/")[2].removesuffix(".py")
        if package_of(plain) is None and "/lib/python" not in plain and name in known:
            return True
    return False


def about_operators_of_torch(o: Occurrence) -> bool:
    return "torchvision::" not in o.line and ("aten::" in o.line or "c10::" in o.line)


def basic_attribute(o: Occurrence) -> bool:
    """torch without its most basic names is no torch; a newer or older function that is missing is a matter of releases."""
    return any(
        f"'{name}'" in o.line for name in ("__version__", "Tensor", "tensor", "cuda", "device", "nn", "float32", "load")
    )
