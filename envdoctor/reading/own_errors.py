"""Failures that are a program's own: what it computes, is given or asks for, which no repair of the environment mends.

Wordings of ATen, Python and the libraries around, looked for in the failing line itself, so that a dump around changes nothing.
"""

from __future__ import annotations

import re

_TENSORS = (
    "shapes? cannot be multiplied", "size mismatch", "sizes? of tensors? must match", "the size of tensor a",
    "must match the size",
    r"expected (?:input|target|scalar type|tensor|\d+D|all tensors to be on the same device|floating|object of|\w+ to have)",
    r"shape '?\[.{0,80}\]'? is invalid for input", r"mat\d? .{0,30}must have the same", "dimension out of range",
    "dimension specified as", r"stack expects each tensor", r"tensors? must have (?:the )?same",
    r"Input type \(.{0,60}\) and (?:weight|bias) type", "truth value of an array", "only (?:one element|integer) tensors",
    "bool value of Tensor", "converted to Python scalars", r"can't convert .{0,40}tensor to numpy", "requires grad. Use",
    "not supported between instances", "not implemented for '(?:Half|Long|Int|Bool|Byte|BFloat16|Float|ComplexFloat)'",
    "calculated padded input size", "kernel size can't be greater", "given groups=", r"inhomogeneous shape",
    "broadcast(?:ed)? together", "all the input array", "cannot reshape", "setting an array element",
    r"result type \w+ can't be cast", "too many indices", "The expanded size of the tensor", "einsum", "einops",
)  # fmt: skip
_AUTOGRAD = (
    "grad can be implicitly", "backward through the graph", "modified by an inplace", "does not require grad",
    "leaf Variable that requires grad", "no grad accumulator", "unused parameters", "finished reduction in the prior iteration",
    "mark(?:ed)? a variable ready only once", "optimizer got an empty parameter list", "unscale_\\(\\) has already been called",
)  # fmt: skip
_NUMBERS = (
    "contains nan", r"\bnan\b.{0,30}\bloss", r"loss.{0,30}\bnan\b", r"index (?:out of (?:range|bounds)|\d+ is out of bounds)",
    "out of bounds for dimension", "list index out of range", "device-side assert", "an illegal memory access was encountered",
    "unspecified launch failure", "misaligned address", "stream is capturing", "assertion [`'].{0,120} failed",
    "division by zero", "ZeroDivisionError", "OverflowError", "probability tensor contains", "samples? from .{0,20}inf",
    r"num_samples should be", "math domain error", "vectorized_gather_kernel", "Target \\d+ is out of bounds",
)  # fmt: skip
_PYTHON = (

    r"^\W*(?:KeyError|IndexError|NameError|UnboundLocalError|RecursionError|StopIteration|EOFError|SyntaxError|IndentationError)\b",
    r"\b(?:KeyError|IndexError|NameError|RecursionError|UnicodeDecodeError|UnicodeEncodeError|JSONDecodeError|TabError)\b:?",
    "is not JSON serializable", "invalid literal for int", "could not convert string", "unexpected keyword argument",
    r"missing \d+ required (?:pos|key)", r"takes (?:\d+|from \d+ to \d+) positional", "got multiple values for",
    "object is not (?:callable|iterable|subscriptable)", "object does not support item assignment",
    r"'\w{1,60}' object has no attribute", "unsupported operand type", "not enough values to unpack", "too many values to unpack",
    "must be (?:str|real number|a string|an integer|bytes)", "can only concatenate", "dictionary changed size", "unhashable type",
    "Can't pickle", "cannot pickle", r"pickling|Unpickl", "KeyboardInterrupt", "SystemExit",
    r"arguments are required", "unrecognized arguments", r"invalid choice", r"error: argument -",
    r"is required (?:for|to) .{0,80}please install", r"you need to install", r"run `?pip install",
    r"^\W*AssertionError(?::\s*(?!.*(?:cuda|torch|gpu not|driver|wrong)).*)?$",
)  # fmt: skip
# Files of the GPU's software, which are never a program's own business.
_OF_THE_STACK = r"\.so\b|\.dll|\.cuh?\b|\.h\b|nvcc|nvidia|cuda|ptxas|ldconfig|ld-linux|/dev/|gcc|cl\.exe"
_FILES = (

    rf"^(?!.*(?:{_OF_THE_STACK})).*(?:FileNotFoundError|\[Errno 2\]|No such file or directory)",
    "IsADirectoryError", "NotADirectoryError", "FileExistsError", "No space left", "disk quota exceeded", "Read-only file system",
    r"PermissionError(?!.*(?:/dev/|nvidia))", "Too many open files", "BadZipFile", "invalid load key", "HeaderTooLarge",
    "MetadataIncompleteBuffer", "PytorchStreamReader failed", "failed finding central directory",
    "corrupt(?:ed)? (?:JPEG|image|file)",
    "image file is truncated", "cannot identify image file", r"ScannerError|ParserError|yaml\.", "toml(?:lib)?\\.",
    r"(?:missing|unexpected) key\(s\) in state_dict", r"error\(s\) in loading state_dict", "CSV",
)  # fmt: skip
_NETWORK = (
    "HTTP ?Error", r"status code:? [45]\d\d", r"\b(?:401|403|404|429|50[023]) (?:client|server|unauthorized|forbidden|not found)",
    r"ConnectionError", "ConnectionRefused", "ConnectionReset", "Connection (?:refused|reset|timed out)", "Max retries exceeded",
    "SSLError", "CERTIFICATE_VERIFY_FAILED", "gated repo", "RepositoryNotFound", "EntryNotFound",
    "is not a valid model identifier",
    "Repository Not Found", "Temporary failure in name resolution", "Name or service not known", "ReadTimeout", "IncompleteRead",
    "LocalEntryNotFoundError", "couldn't connect to", "Could not resolve host", "rate limit", "EADDRINUSE",
    "Address already in use",
    "Default process group has not been initialized", "Invalid API key",
)  # fmt: skip
_MEMORY = (
    "Out of memory: Killed process", "oom-kill(?:er)?:", r"^Killed\b", r"Error 137\b", r"exit (?:code|status):? 137", "OOMKilled",
    r"MemoryError", "DefaultCPUAllocator: (?:can't|not enough)",
)  # fmt: skip
_SETTINGS = (
    "Bfloat16 is only supported on GPUs with compute capability", "OutOfResources: out of resource: (?:shared memory|threads)",
)  # fmt: skip
_MODULES = (
    "torch", "triton", "nvidia", "cuda", "cupy", "apex", "flash", "xformers", "bitsandbytes", "deepspeed", "vllm", "sgl",
    "detectron",
    "mmcv", "numpy", "pkg_resources", "distutils", "tensorrt", "pynvml", "transformer_engine", "mamba", "causal", "natten", "jax",
)  # fmt: skip
# What a package is called that has nothing to do with a GPU.
_MODULE = rf"No module named ['\"](?!(?:{'|'.join(_MODULES)}))[\w.]+['\"]"
_OWN = re.compile(
    "|".join((*_TENSORS, *_AUTOGRAD, *_NUMBERS, *_PYTHON, *_FILES, *_NETWORK, *_MEMORY, *_SETTINGS, _MODULE)),
    re.IGNORECASE,
)


def is_own(text: str) -> bool:
    """Whether the words of a failure are known to be a program's own."""
    return _OWN.search(text) is not None
