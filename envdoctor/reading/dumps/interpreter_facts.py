"""Sheets -> the Interpreter: Python, its packages, conda's packages, duplicates, extensions, torch."""

from __future__ import annotations

import re

from packaging.version import InvalidVersion, Version

from envdoctor.facts.sections.interpreter import CondaPackage, Distribution, Duplicate, ExtensionBuild, Interpreter
from envdoctor.reading.dumps import torch_facts, values
from envdoctor.reading.dumps.merging import Merged
from envdoctor.reading.dumps.raw_values import Sheet, says_nothing

_PIP = re.compile(r"([A-Za-z0-9][\w.-]{0,100})\s?(?:===?\s?|\(|@ )([^\s,)]*)")
_CONDA_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,100}$")
_BITS = re.compile(r"\((\d{2})-bit runtime\)|\b(32|64) bit\b")

CONDA_TORCH = ("pytorch", "pytorch-gpu", "pytorch-cpu", "torch")


def python_version(merged: Merged) -> str | None:
    return merged.first("python", values.python) or merged.first("system.python", values.python)


def interpreter(merged: Merged) -> Interpreter | None:
    """What the text says of the Python that torch runs in."""
    text = merged.text("python") or ""
    version = python_version(merged)
    bits = _BITS.search(text)
    pip = _pip(merged)
    conda = _conda(merged)
    distributions = _distributions(merged, pip)
    torch_listed = (pip or {}).get("torch")
    conda_torch = next((p for p in conda or () if p.name in CONDA_TORCH[:1] and p.channel != "pypi"), None)
    of_conda = (conda_torch.version, conda_torch.build) if conda_torch else None
    torch = torch_facts.torch(merged, of_conda, torch_listed)
    listed = torch_listed is not None or any(p.name in CONDA_TORCH for p in conda or ())
    installed = True if listed or (torch is not None and torch.version is not None) else None
    if installed is None and _known_missing(merged, pip):
        installed, torch = False, None
    facts = Interpreter(
        version=version,
        implementation="pypy" if "[PyPy" in text else "cpython" if "[" in text else None,
        bits=int(bits[1] or bits[2]) if bits else None,
        free_threaded=_free_threaded(version, text),
        distributions=distributions,
        distributions_complete=False,
        duplicates=_duplicates(merged, torch.version if torch else None, torch_listed, conda_torch),
        conda_packages=conda,
        extension_builds=_extensions(merged),
        torch=torch,
        torch_installed=installed,
        prefix=merged.text("prefix"),
    )
    nothing = Interpreter(distributions_complete=False)
    return None if facts == nothing else facts


def _free_threaded(version: str | None, text: str) -> bool | None:
    if "free-threading" in text:
        return True
    if version is None or "(" not in text:  # only the whole of sys.version tells
        return None
    return False


def _pip(merged: Merged) -> dict[str, str | None] | None:
    """pip's list: normalised name -> version; None where there was no list."""
    lists = [
        sheet.lists["pip"] for sheet in merged if sheet.layout in ("collect_env", "pip list") and "pip" in sheet.lists
    ]
    if not lists or all(line.startswith("Could not collect") for lines in lists for line in lines):
        return None
    found: dict[str, str | None] = {}
    for line in (line for lines in lists for line in lines):
        entry = _PIP.match(line)
        if entry:
            found.setdefault(values.normalised(entry[1]), _plain(entry[2]))
    return found


def _plain(text: str | None) -> str | None:
    """A version of a list's cell, None for a file's address or an empty one."""
    text = (text or "").strip("`'\" ").partition(" ")[0].partition("@")[0]
    try:
        Version(text.rstrip("+"))
    except InvalidVersion:
        return None
    return text


def _conda(merged: Merged) -> tuple[CondaPackage, ...] | None:
    """Rows of `conda list`: name, version, build, features in brackets, channel."""
    lists = [sheet.lists["conda"] for sheet in merged if "conda" in sheet.lists]
    if not lists or all(line.startswith("Could not collect") for lines in lists for line in lines):
        return None
    found: dict[tuple[str, str], CondaPackage] = {}
    for line in (line for lines in lists for line in lines):
        tokens = [token for token in line.split() if not (token[0] == "[" and token[-1] == "]")]
        if len(tokens) < 2 or not _CONDA_NAME.match(tokens[0].lower()) or not tokens[1][0].isdecimal():
            continue
        name, version, *rest = tokens
        by_pip = "<pip>" in rest
        build = rest[0] if rest and not by_pip else None
        channel = "pypi" if by_pip or build == "pypi_0" else rest[1] if len(rest) > 1 else None
        found.setdefault((name, channel or ""), CondaPackage(name=name, version=version, build=build, channel=channel))
    return tuple(found.values())


def _distributions(merged: Merged, pip: dict[str, str | None] | None) -> tuple[Distribution, ...] | None:
    found = {name: Distribution(name=name, version=version) for name, version in (pip or {}).items()}
    for sheet in merged:
        for raw, text in sheet.packages.items():
            name = values.normalised(raw)
            version = _plain((text or "").partition(" @")[0])
            path = (text or "").partition(" @")[2].strip()
            if version is not None and name not in found and name not in ("pytorch-debug", "pytorch-version"):
                location = re.split(r"[/\\](?=[^/\\]*$)", path)[0] if path else None
                found[name] = Distribution(name=name, version=version, location=location)
    for name in ("torchvision", "torchaudio", "vllm", "numpy", "deepspeed", "xformers", "bitsandbytes"):
        version = merged.first(name, lambda text: _plain(text.rstrip(",").partition(",")[0]))
        if version is not None:
            found.setdefault(name, Distribution(name=name, version=version))
    return tuple(found.values()) if found or pip is not None else None


def _known_missing(merged: Merged, pip: dict[str, str | None] | None) -> bool:
    """Whether no torch is installed: a tool says so, or the lists are there to their end and do not have it."""
    if torch_facts.said_missing(merged):
        return True
    sheet = merged.get("collect_env")
    if sheet is not None and torch_facts.not_imported(merged) and pip is not None:
        return "pip" in sheet.closed
    listed = merged.get("pip list")
    if listed is not None and "headed" in listed.values and pip and "torch" not in pip:
        # pip sorts by name: a later name shows that torch's place was passed.
        names = [re.split("==", line)[0].lower() for line in listed.lists.get("pip", ())]
        return len(names) > 5 and names == sorted(names) and names[-1] > "torch" > names[0]
    return False


def _release(version: str | None) -> str | None:
    """'1.13.1.post200' and '2.1.0+cu121' as '1.13.1' and '2.1.0': conda's builds and local parts left out."""
    try:
        parsed = Version(version or "")
    except InvalidVersion:
        return None
    pre = "".join(str(part) for part in parsed.pre or ())
    return f"{parsed.base_version}{pre}" + (f".dev{parsed.dev}" if parsed.dev is not None else "")


def _duplicates(
    merged: Merged, imported: str | None, listed: str | None, conda: CondaPackage | None
) -> tuple[Duplicate, ...] | None:
    """Two torches that really are two.

    pip lists what conda installed as well, so equal releases are one install; pip and conda must name different releases, or
    builds for different CUDA versions. A list by another pip than the interpreter's own counts only beside conda's.
    """
    if listed is None:
        return None
    versions: list[str] = []
    if conda is not None and _release(conda.version) and _release(listed):
        by_conda, by_pip = torch_facts.conda_build(conda.build or ""), values.local_build(listed)
        differ = by_pip[0] is not None and by_conda.build is not None and by_pip != (by_conda.build, by_conda.cuda)
        if _release(conda.version) != _release(listed) or differ:
            versions = [conda.version, listed]
    elif imported is not None and _own_pip(merged) and _release(imported) and _release(imported) != _release(listed):
        versions = [imported, listed]
    if imported is not None and len(versions) == 2:
        versions.sort(key=lambda v: _release(v) != _release(imported))  # the imported one first
    return (Duplicate(name="torch", versions=tuple(versions), locations=()),) if versions else None


def _own_pip(merged: Merged) -> bool:
    """Whether the list is the interpreter's own: since 1.10 collect_env runs `python -m pip`, before it ran pip3 of PATH.

    The XNNPACK line came with that version.
    """
    sheet = merged.get("collect_env")
    return sheet is not None and "pip" in sheet.lists and "xnnpack" in sheet.values


def _extensions(merged: Merged) -> tuple[ExtensionBuild, ...] | None:
    found = []
    for sheet in merged:
        for name in ("detectron2", "torchvision", "mmcv", "mmdet", "xformers"):
            build = _extension(sheet, name)
            if build is not None:
                found.append(build)
    return tuple(found) or None


def _extension(sheet: Sheet, name: str) -> ExtensionBuild | None:
    cuda_text, compiler = sheet.values.get(f"{name}.cuda"), sheet.get(f"{name}.compiler")
    flags = values.arch_flags(sheet.get(f"{name}.arch"))
    cuda = None
    if cuda_text is not None:
        cuda = values.two_numbers(re.sub(r"^(?:CUDA|Cuda)\s*", "", cuda_text))
        if name == "xformers" and cuda_text.isdecimal() and len(cuda_text) == 4:
            cuda = f"{int(cuda_text) // 100}.{int(cuda_text) % 100}"
        if cuda is None and cuda_text.lower() in ("not available", "n/a", "none"):
            cuda = ""
    built = values.torch(sheet.get(f"{name}.torch"))
    if cuda is None and compiler is None and flags is None and built is None:
        return None
    if compiler is not None and says_nothing(compiler):
        compiler = None
    return ExtensionBuild(distribution=name, cuda=cuda, compiler=compiler, arch_flags=flags, torch=built)
