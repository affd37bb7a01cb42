"""A stand-in for torch: copied as torch/__init__.py into an environment, it behaves as the behaviour.json beside it says.

It computes for real (small tensors as lists), so that a result can be right or wrong. Python 3.8, standard library only.
"""

# mypy: ignore-errors
# ruff: noqa: PTH118, PTH120, PTH123
from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
import types
import warnings

with open(os.path.join(os.path.dirname(__file__), "behaviour.json"), encoding="utf-8") as _file:
    BEHAVIOUR = json.load(_file)


def _misbehave(where):
    """What the test wants to happen at this place: 'crash', 'hang', 'exit', 'raise TEXT', 'abort TEXT' or 'warn TEXT'."""
    what, _, text = BEHAVIOUR.get(where, "").partition(" ")
    if what == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
        time.sleep(10)
    elif what == "hang":
        time.sleep(600)
    elif what == "exit":
        os._exit(int(text))
    elif what == "sys.exit":
        sys.exit(text)
    elif what == "raise":
        raise (ImportError if where == "importing" else RuntimeError)(text)
    elif what == "abort":
        os.write(2, (text + "\n").encode())
        os.abort()
    elif what == "warn":
        warnings.warn(text, stacklevel=2)
    elif what == "print":
        os.write(1, text.encode())


# Libraries that the import maps, as the loader finds them; '/' at the start stands for this environment's site-packages.
for _name in BEHAVIOUR.get("loads", ()):
    ctypes.CDLL(os.path.dirname(os.path.dirname(__file__)) + _name if _name[0] == "/" else _name)

_misbehave("importing")

from torch import version  # noqa: E402

if not BEHAVIOUR.get("namespace"):
    __version__ = version.__version__

DEVICES = BEHAVIOUR.get("devices", [])


class Tensor:
    def __init__(self, values, shape=None, device="cpu"):
        self.values, self.shape, self.device = list(values), shape or (len(values),), device

    def reshape(self, *shape):
        return Tensor(self.values, shape, self.device)

    def _each(self, change):
        return Tensor([change(value) for value in self.values], self.shape, self.device)

    def __mod__(self, other):
        return self._each(lambda value: value % other)

    def __sub__(self, other):
        return self._each(lambda value: value - other)

    def float(self):
        return self._each(float)

    def double(self):
        return self._each(float)

    def long(self):
        return self._each(int)

    def round(self):
        return self._each(round)

    def cpu(self):
        return Tensor(self.values, self.shape)

    def numpy(self):
        _misbehave("numpy")

    def to(self, device):
        _misbehave("to " + device)
        return Tensor(self.values, self.shape, device)


def zeros(size):
    return Tensor([0.0] * size)


def arange(end):
    return Tensor(range(end))


def equal(left, right):
    return left.shape == right.shape and left.values == right.values


def mm(left, right):
    (rows, inner), columns = left.shape, right.shape[1]
    values = [
        sum(left.values[row * inner + k] * right.values[k * columns + column] for k in range(inner))
        for row in range(rows)
        for column in range(columns)
    ]
    return _computed("mm", values, (rows, columns), left.device)


def _conv2d(image, weight, padding):
    (_, channels, height, width), (outputs, _, size, _) = image.shape, weight.shape
    values = []
    for output in range(outputs):
        for y in range(height):
            for x in range(width):
                total = 0.0
                for c in range(channels):
                    for i in range(size):
                        for j in range(size):
                            row, column = y + i - padding, x + j - padding
                            if 0 <= row < height and 0 <= column < width:
                                total += (
                                    image.values[(c * height + row) * width + column]
                                    * weight.values[((output * channels + c) * size + i) * size + j]
                                )
                values.append(total)
    return _computed("conv2d", values, (1, outputs, height, width), image.device)


def _computed(what, values, shape, device):
    if device != "cpu":
        _misbehave(what)
        if BEHAVIOUR.get(what) == "wrong":
            values[-1] += 1
    return Tensor(values, shape, device)


class _Properties:
    def __init__(self, name, capability, memory):
        self.name, self.total_memory, self.multi_processor_count = name, memory, 100
        self.major, self.minor = map(int, capability.split("."))


def _module(name, **content):
    module = types.ModuleType("torch." + name)
    module.__dict__.update(content)
    sys.modules["torch." + name] = module
    return module


def _is_available():
    _misbehave("is_available")
    return bool(DEVICES)


def _init():
    _misbehave("init")


def _nccl_version():
    if version.cuda is None:
        raise RuntimeError("NCCL is not built in")
    return tuple(BEHAVIOUR.get("nccl", (2, 30, 7)))


def _cudnn_version():
    _misbehave("cudnn")
    return BEHAVIOUR.get("cudnn_version", 92600 if version.cuda else None)


def _get_device_properties(index):
    _misbehave("properties")
    return _Properties(**DEVICES[index])


def _load_library(path):
    _misbehave("load")
    try:
        ctypes.CDLL(path)
    except OSError as error:
        raise OSError("Could not load this library: " + path) from error


ops = _module(
    "ops",
    load_library=_load_library,
    torchvision=_module("ops.torchvision", _cuda_version=lambda: BEHAVIOUR["vision_cuda"]),
)
nn = _module("nn", functional=_module("nn.functional", conv2d=_conv2d))
cuda = _module(
    "cuda",
    is_available=_is_available,
    device_count=lambda: len(DEVICES),
    get_device_properties=_get_device_properties,
    init=_init,
    nccl=_module("cuda.nccl", version=_nccl_version),
)
backends = _module(
    "backends",
    cudnn=_module("backends.cudnn", version=_cudnn_version, is_available=lambda: version.cuda is not None),
)
if not BEHAVIOUR.get("old"):
    _C = _module("_C", _cuda_getArchFlags=lambda: BEHAVIOUR.get("arch_flags", ""), _GLIBCXX_USE_CXX11_ABI=True)
