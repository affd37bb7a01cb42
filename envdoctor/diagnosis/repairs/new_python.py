"""Another Python for torch: an environment with one that has wheels of the release that is wanted."""

from __future__ import annotations

import re

from envdoctor.diagnosis.model import Fix
from envdoctor.diagnosis.repairs.installation import Accelerator, installation
from envdoctor.diagnosis.repairs.python_environment import fitting_torch, quoted
from envdoctor.diagnosis.repairs.torch_install import newest_rocm
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.interpreter import Interpreter
from envdoctor.knowledge import Knowledge, TorchRelease


def environment_with_python(snapshot: Snapshot, world: Knowledge, wanted: str | None, variant: str | None) -> Fix:
    """An environment with a Python that has wheels of torch `wanted`, and that torch in it, from the index of its `variant`
    ('cu117') where it has one. Without `wanted` it is the newest that suits the machine."""
    platform = (snapshot.host.platform if snapshot.host else None) or ""
    python = _python_for(snapshot, world, wanted, platform)
    windows = platform.startswith("windows")
    folder = ".venv\\Scripts\\python" if windows else ".venv/bin/python"
    install = ["uv", "pip", "install", "--python", folder]
    arguments, note = _torch(snapshot, world, wanted, variant, python)
    return Fix(
        title=f"Make an environment with Python {python}, which has wheels" + (f" of torch {wanted}" if wanted else ""),
        commands=(f"uv venv --python {python} .venv", f"{' '.join(install)} {quoted(arguments)}"),
        note=" ".join(part for part in (f"Or with conda: conda create -n torch python={python}.", note) if part),
        verify=f'{folder} -c "import torch; print(torch.__version__)"',
    )


def _python_for(snapshot: Snapshot, world: Knowledge, wanted: str | None, platform: str) -> str:
    release = world.torch_release(wanted) if wanted else None
    if wanted and (release is None or release.version != wanted):
        older = world.newest_python_of_old(wanted)
        if older is not None:
            return older
    host = snapshot.host
    named = host is not None and (host.os_name is not None or host.distribution is not None or host.kernel is not None)
    offered = _offered(release or world.torch_releases()[0], platform, named=named)
    if not offered:
        return "3.12"
    if release is not None and release.version == wanted:
        # What else is installed was made for the Python that is there: the nearest to it.
        below = [python for python in offered if _numbers(python) <= _numbers(_version(snapshot.interpreter))]
        return (below or offered[:1])[-1]
    # Not the newest: extensions follow torch to a new Python only months later.
    return offered[len(offered) // 2]


def _offered(release: TorchRelease, platform: str, *, named: bool) -> list[str]:
    found = release.python.get(platform) or release.python.get("linux_x86_64") or ()
    if not named:  # a text that does not say which system it is from
        found = tuple(python for python in found if python in release.python.get("windows_amd64", found))
    return sorted((python for python in found if not python.endswith("t")), key=_numbers)


def _version(interpreter: Interpreter | None) -> str:
    return (interpreter.version if interpreter else None) or "99.0"


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:2])


def _torch(
    snapshot: Snapshot, world: Knowledge, wanted: str | None, variant: str | None, python: str
) -> tuple[list[str], str | None]:
    """What is installed into it, and what remains to be said."""
    here = installation(snapshot, world)
    named = wanted if wanted and re.fullmatch(r"\d+(?:\.\d+)+", wanted) else None
    if named is not None and variant and re.fullmatch(r"cu\d{2,3}|cpu|xpu|rocm[\d.]+", variant):
        return [f"torch=={named}+{variant}", "--index-url", world.torch_index(variant)], None
    if named is not None:
        note = (
            "On Windows PyPI has CPU builds only; builds with CUDA are on pytorch.org's indexes."
            if here.windows
            else None
        )
        return [f"torch=={named}"], note
    if here.accelerator is Accelerator.INTEL:
        return ["torch", "--index-url", world.torch_index("xpu")], None
    build = None
    if here.accelerator is Accelerator.NVIDIA:
        build = fitting_torch(snapshot, world, python=python)
    elif here.accelerator is Accelerator.AMD and not here.windows:
        build = newest_rocm(world)
    if build is not None:
        return list(build.pip_arguments("torch")), None
    windows = "On Windows PyPI has CPU builds only: `envdoctor recipe venv --gpu NAME` names the command for a GPU."
    return ["torch"], windows if here.windows else None
