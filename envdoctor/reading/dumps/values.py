"""Single values as the tools print them -> the Snapshot's forms. Each gives None for what it does not understand."""

from __future__ import annotations

import re

_VERSION = re.compile(r"\d+(?:\.\d+)*(?:[\w.+!-]{0,60})?")
_NUMBERS = re.compile(r"(\d{1,4})\.(\d{1,4})")
_DRIVER = re.compile(r"\b(\d{3}(?:\.\d{1,3}){1,2})\b")
_NVCC = re.compile(r"(?:release \d+\.\d+, )?V?(\d{1,2}\.\d{1,2}(?:\.\d{1,4})?)\b|cuda_(\d{1,2}\.\d{1,2})")
_PYTHON = re.compile(r"(?:Python )?([23]\.\d{1,2}(?:\.\d{1,3})?(?:(?:a|b|rc)\d+|\+)?)(?![\d.])")
_TORCH = re.compile(r"[012]\.\d{1,3}(?:\.\d{1,3})?(?:(?:a|b|rc)\d{1,4})?(?:\.?(?:post|dev)\d{1,8})*(?:\+[\w.-]{1,60})?")
_LOCAL_CUDA = re.compile(r"cu(\d{2,3})(?!\d)")
_COMPILER = re.compile(r"(?:\([^()]*(?:\([^()]*\)[^()]*)*\)\s*)?(?:version\s+)?(\d+(?:\.\d+)+|\d+)")


def boolean(value: str | None) -> bool | None:
    """'True', 'Yes', 'No: torch.cuda.is_available() == False', 'is available'."""
    word = (value or "").strip("`'\" ").lower()
    if word in ("true", "yes", "1", "on", "available", "cuda") or word.startswith("yes"):
        return True
    if word in ("false", "no", "0", "off", "not available") or word.startswith(("no:", "no,")):
        return False
    return None


def two_numbers(value: str | None) -> str | None:
    """'10.1.243' -> '10.1', '12.1' -> '12.1'."""
    found = _NUMBERS.match((value or "").strip("`'\" vV"))
    return f"{found[1]}.{found[2]}" if found else None


def driver(value: str | None) -> str | None:
    """A driver's version; nvidia-smi's have three digits first ('580.95.05', '551.61')."""
    found = _DRIVER.search(value or "")
    return found[1] if found else None


def nvcc(value: str | None) -> str | None:
    """'12.4.99', 'Cuda compilation tools, release 12.1, V12.1.105', 'Build cuda_11.1.TC455_06.29190527_0'."""
    value = (value or "").strip()
    if value[:1].isdecimal() or value[:1] == "V":
        found = _NVCC.match(value)
    else:
        found = re.search(r"V(\d{1,2}\.\d{1,2}\.\d{1,4})", value) or _NVCC.search(value)
    if not found:
        return None
    return found[1] or (found[2] if found.re is _NVCC else None)


def python(value: str | None) -> str | None:
    """The version at the start of sys.version."""
    found = _PYTHON.match((value or "").strip("`'\" vV"))
    return found[1].rstrip("+") if found else None


def torch(value: str | None) -> str | None:
    """A torch version: '2.1.0', '1.13.0.dev20220525', '2.2.0a0+gitebed490'; None for prose."""
    found = _TORCH.match((value or "").strip("`'\" vV"))
    return found[0] if found else None


def local_build(version: str | None) -> tuple[str | None, str | None]:
    """Build and CUDA version that a local part names: '+cu118' -> ('cuda', '11.8'), '+rocm6.3' -> ('rocm', None)."""
    local = (version or "").partition("+")[2].lower()
    found = _LOCAL_CUDA.match(local)
    if found:
        digits = found[1]
        return "cuda", f"{digits[:-1]}.{digits[-1]}"
    for build in ("cpu", "rocm", "xpu"):
        if local.startswith(build):
            return build, None
    return None, None


def compiler(value: str | None) -> str | None:
    """'(Ubuntu 11.4.0-1ubuntu1~22.04) 11.4.0' -> '11.4.0'."""
    text = (value or "").strip()
    for name in ("gcc", "g++", "c++", "cc", "clang", "Apple"):
        if text.lower().startswith(name.lower() + " "):
            text = text[len(name) :].strip()
    found = _COMPILER.match(text[:300])
    return found[1] if found else None


def cudnn_number(value: str | None) -> int | None:
    """'7.6.5' -> 7605, '8.9.7' -> 8907, '9.1.0' -> 90100: how torch.backends.cudnn.version() writes it."""
    parts = (value or "").split(".")[:3]
    parts += ["0"] * (len(parts) == 2)  # torch leaves a patch number of 0 out
    if len(parts) < 3 or not all(part.isdecimal() and len(part) < 4 for part in parts):
        return None
    major, minor, patch = (int(part) for part in parts)
    return major * 10000 + minor * 100 + patch if major >= 9 else major * 1000 + minor * 100 + patch


def arch_flags(value: str | None) -> tuple[str, ...] | None:
    """'sm_35, sm_50', '3.5, 5.0' or '5.0+PTX 6.0' -> ('sm_35', 'sm_50'); None for a path or an error."""
    if (
        value is None
        or "/" in value
        or "\\" in value
        or (";" in value and "sm_" not in value and not value[:1].isdecimal())
    ):
        return None
    flags: list[str] = []
    for word in re.split(r"[,;\s]+", value.strip()):
        number, ptx, _ = word.lower().partition("+ptx")
        # detectron2 joins an architecture's digits with dots: '7.5', and '1.2.0' for sm_120.
        digits = number.removeprefix("sm_").removeprefix("compute_").replace(".", "")
        if not re.fullmatch(r"\d{2,3}[a-z]?", digits):
            return None
        flags.append(f"{'compute' if number.startswith('compute_') else 'sm'}_{digits}")
        if ptx:
            flags.append(f"compute_{digits}")
    return tuple(dict.fromkeys(flags)) or None


def capability(arch: str) -> str | None:
    """'90' -> '9.0', '121' -> '12.1'."""
    return f"{arch[:-1]}.{arch[-1]}" if arch.isdecimal() and 2 <= len(arch) <= 3 else None


def normalised(name: str) -> str:
    """A distribution's name after PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()
