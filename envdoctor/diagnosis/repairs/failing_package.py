"""The package that a failure names: by the path of the library or of the innermost frame, or by words that only it writes.

A command about a package is printed only where this names one.
"""

from __future__ import annotations

import re

from envdoctor.facts.model import Snapshot
from envdoctor.reading.messages.loader_errors import loader_errors
from envdoctor.reading.messages.tracebacks import PURE_PYTHON, frames_in, of_sibling, package_of

# The name of the module or file, where the distribution that brings it is called otherwise.
_DISTRIBUTIONS = {
    "sgl_kernel": "sgl-kernel", "flash_attn_interface": "flash-attn-3", "fused_layer_norm_cuda": "apex", "amp_c": "apex",
    "deform_conv_cuda": "mmcv-full", "pyg_lib": "pyg-lib", "causal_conv1d_cuda": "causal-conv1d",
    "selective_scan_cuda": "mamba-ssm", "flashinfer": "flashinfer-python",
}  # fmt: skip
_BUILDS = re.compile(r"(?:^lib|_ext$|(?:_\d)?_cuda$|_cpu$|_cuda\d*\w*$|_core\d+$|_pybind_ops\d+$|_custom_ops\d+$)")
# Words that one package alone writes.
_WORDS = (
    ("xformers", re.compile(r"\bxformers\b", re.IGNORECASE)),
    ("bitsandbytes", re.compile(r"\bbitsandbytes\b|\bCUDA SETUP\b", re.IGNORECASE)),
    ("torchcodec", re.compile(r"\b(?:lib)?torchcodec", re.IGNORECASE)),
    ("flash-attn", re.compile(r"\bflash_attn(?:_2_cuda)?\b|\bflash-attn\b|\bFlash ?Attention\b")),
    ("mmcv", re.compile(r"\bmmcv\b(?!-full)", re.IGNORECASE)),
    ("mmcv-full", re.compile(r"\bmmcv-full\b", re.IGNORECASE)),
    ("sgl-kernel", re.compile(r"\bsgl[_-]kernel\b")),
    ("detectron2", re.compile(r"\bdetectron2\b")),
    ("pytorch3d", re.compile(r"\bpytorch3d\b")),
    ("groundingdino", re.compile(r"\bgroundingdino\b|\bGroundingDINO\b")),
    ("vllm", re.compile(r"\bvllm(?:\._C)?\b")),
    ("flashinfer-python", re.compile(r"\bflashinfer\b", re.IGNORECASE)),
    ("apex", re.compile(r"\b(?:fused_layer_norm_cuda|amp_C)\b")),
    ("torch-scatter", re.compile(r"\btorch[_-]scatter\b")),
    ("torch-sparse", re.compile(r"\btorch[_-]sparse\b")),
    ("torch-cluster", re.compile(r"\btorch[_-]cluster\b")),
)  # fmt: skip
ONLY_SOURCES = ("apex", "detectron2", "pytorch3d", "groundingdino", "diff-gaussian-rasterization")
"""Not on PyPI, or another project has their name there: they are built from their own repositories."""
SOURCES_ON_PYPI = (
    "flash-attn", "causal-conv1d", "mamba-ssm", "mmcv", "mmcv-full", "torch-scatter", "torch-sparse", "torch-cluster",
    "torch-spline-conv",
)  # fmt: skip
"""PyPI has no wheels of them: what pip installs is compiled here, against the torch that the build sees."""
WITHOUT_SOURCES = ("bitsandbytes", "torchcodec", "sgl-kernel", "vllm", "sglang")
"""What PyPI has of them is wheels, or sources that take more than pip to build: their own pages say for which GPUs, and how."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}$")
_OWN = ("torch", "torchgen", "functorch", "nvidia", "triton", "numpy", "torchvision", "torchaudio")


def failing_package(snapshot: Snapshot) -> str | None:
    """The distribution whose compiled code fails, as pip names it; None where the text does not name it for sure."""
    by_path = (_of_path(error.library) for error in loader_errors(snapshot))
    found = next((name for name in by_path if name is not None), None)
    if found is not None:
        return found
    for path in reversed(frames_in(snapshot.messages)):
        package = package_of(path)
        if package is not None and package not in PURE_PYTHON and package not in _OWN:
            return _distribution(package)
    text = "\n".join(snapshot.messages)[:100_000]
    said = [name for name, pattern in _WORDS if pattern.search(text)]
    return said[0] if len(said) == 1 or said[:1] == ["xformers"] else None


def _of_path(library: str) -> str | None:
    """'flash-attn' of /x/site-packages/flash_attn_2_cuda.cpython-312-x86_64-linux-gnu.so, 'mmcv' of .../mmcv/_ext.so."""
    package = package_of(library.replace("\\", "/"))
    if package is None or of_sibling(package):
        return None
    name = package.partition(".")[0]
    return _distribution(name) if name not in _OWN and not name.startswith("nvidia") else None


def _distribution(module: str) -> str | None:
    name = module.partition(".")[0].removeprefix("_")
    known = _DISTRIBUTIONS.get(name.lower())
    if known is not None:
        return known
    while (shorter := _BUILDS.sub("", name)) != name and shorter:
        name = shorter
    plain = name.replace("_", "-").strip("-")
    return plain if _NAME.match(plain) else None
