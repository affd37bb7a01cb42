"""Where in whose code a message was raised: conditions of messages that look at the traceback's frames before the line."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence

from envdoctor.reading.messages.message import Condition, Occurrence

PURE_PYTHON = (
    "torch", "transformers", "diffusers", "accelerate", "lightning", "pytorch_lightning", "lightning_fabric", "timm", "numpy",
    "peft", "trl", "datasets", "huggingface_hub", "safetensors", "ultralytics", "fastai", "sentence_transformers", "torchmetrics",
    "einops", "gradio", "open_clip", "clip", "whisper", "ignite", "tqdm", "sklearn", "scipy",
)  # fmt: skip
_SIBLINGS = ("torchvision", "torchaudio", "_torch_sox")
# torch's trampolines: an operator or a function of somebody else's is called through them.
_TRAMPOLINES = ("/torch/_ops.py", "/torch/autograd/function.py")
# CPython's frames, and IPython's: 'File ~/lib/python3.12/site-packages/x.py:12, in f'; before 8 '~/lib/x.py in f(a)'.
_FRAME = re.compile(
    r'File "([^"\n]{1,400})", line \d|File ([^\s":,]{1,400}\.py):\d|^((?:~|/|[A-Za-z]:)[^\s"]{0,400}\.py) in [\w<]'
)
_PARTIAL = re.compile(r"partially initialized module ['\"]([\w.]{1,80})['\"]")
_PATH = re.compile(r"\((/[^()\s]{1,300}\.py|[A-Za-z]:\\[^()]{1,300}\.py)\)")
# What users' own files are named after: Python's own modules, torch and what it imports. `test` is an ordinary folder.
HIDEABLE = frozenset(sys.stdlib_module_names - {"test"}) | {
    "torch", "numpy", "torchvision", "torchaudio", "triton", "sympy", "networkx", "jinja2", "fsspec", "filelock", "setuptools",
}  # fmt: skip


def of_sibling(name: str) -> bool:
    """Whether a file is torchvision's or torchaudio's, which have diagnoses of their own."""
    return any(sibling in name for sibling in _SIBLINGS)


def frames(o: Occurrence) -> list[str]:
    """The files of the traceback that stands before the line, the innermost last."""
    return frames_in(o.before)


def frames_in(lines: Sequence[str]) -> list[str]:
    """The files that the frames in these lines name, with forward slashes."""
    found = (found for line in lines for found in _FRAME.finditer(line))
    return [(f[1] or f[2] or f[3]).replace("\\", "/") for f in found]


def package_of(path: str) -> str | None:
    """'flash_attn' of /x/site-packages/flash_attn/interface.py; None for a file outside installed packages."""
    for folder in ("/site-packages/", "/dist-packages/"):
        _, found, rest = path.rpartition(folder)
        if found:
            return rest.partition("/")[0].removesuffix(".py")
    return None


def raised_in(package: str) -> Condition:
    """The traceback's innermost frame but for ctypes and torch's loaders is a file of that package."""

    def holds(o: Occurrence) -> bool:
        inner = [path for path in frames(o) if not path.endswith((*_TRAMPOLINES, "/ctypes/__init__.py"))][-1:]
        return bool(inner) and package_of(inner[0]) == package

    return holds


def raised_by_addon(o: Occurrence) -> bool:
    """The innermost frames are of an installed package that brings compiled code, or name a compiled file that is not torch's."""
    inner = [path for path in frames(o) if not path.endswith(_TRAMPOLINES)][-1:]
    package = package_of(inner[0]) if inner else None
    if package is not None and package not in PURE_PYTHON and not of_sibling(package):
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


def _own_file(path: str) -> bool:
    """A user's file that bears the name of a module that others import."""
    plain = path.replace("\\", "/")
    name = plain.rpartition("/")[2].removesuffix(".py")
    return package_of(plain) is None and "/lib/python" not in plain.lower() and name in HIDEABLE


def local_module(o: Occurrence) -> bool:
    """A circular import of a name whose file lies outside the installed packages and outside Python's own library."""
    module = _PARTIAL.search(o.line)
    if module is not None and "." in module[1]:
        return False  # a module in a package hides nothing
    return any(_own_file(path) for path in (o.values.get("path", ""), *_PATH.findall(o.line)) if path)


def half_imported(o: Occurrence) -> bool:
    """A well-known module has none of its names while it is being imported: something else of that name was taken for it.

    CPython before 3.13 does not say where it lies. Where the frames show it, they decide: the module's own installed files
    mean an install that is not whole.
    """
    found = _PARTIAL.search(o.line)
    if found is None or found[1] not in HIDEABLE:
        return False
    inner = frames(o)
    if any(_own_file(path) for path in inner):
        return True
    return not any(package_of(path) == found[1] for path in inner[-4:])


def runs_through_its_double(o: Occurrence) -> bool:
    """The traceback has a file of a user's that bears the name of the module that lacks something."""
    module = o.values.get("module", "").strip("'\"")
    return any(_own_file(path) and path.rpartition("/")[2] == f"{module}.py" for path in frames(o))


def half_installed(o: Occurrence) -> bool:
    """The same with nothing but the installed package's own files in the traceback."""
    return not half_imported(o)
