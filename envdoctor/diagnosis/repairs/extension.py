"""Repairs of compiled extensions: their build for the torch that is there, or compiled anew. torch stays as it is."""

from __future__ import annotations

from collections.abc import Sequence

from envdoctor.diagnosis.model import Fix
from envdoctor.diagnosis.repairs.failing_package import (
    ONLY_SOURCES,
    SOURCES_ON_PYPI,
    WITHOUT_SOURCES,
    failing_package,
)
from envdoctor.diagnosis.repairs.installation import ImageVendor, Installation, installation
from envdoctor.diagnosis.repairs.python_environment import install_into, installer, python, quoted, run_python
from envdoctor.diagnosis.repairs.torch_pins import Pin
from envdoctor.diagnosis.snapshot_queries import plain_list
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Companion, Knowledge
from envdoctor.planning.machine_gpus import MachineGpu

FRESH = ("--no-cache-dir", "--force-reinstall", "--no-deps")
CAPABILITIES = "$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | sort -u | paste -sd ';')"


def extension_fixes(snapshot: Snapshot, world: Knowledge, names: Sequence[str]) -> tuple[Fix, ...]:
    """The extensions `names`, or the one that the text names, for the torch that is there."""
    here = installation(snapshot, world)
    if not names:
        found = failing_package(snapshot)
        names = [found] if found is not None else []
    if not names:
        return (
            Fix(
                title="Install the extension's build for this torch, or compile it once more against it",
                note="The path of the file in the message names the package. Compiling needs nvcc of torch's CUDA version.",
            ),
        )
    if here.image is not None:
        return (_of_image(here.image, names),)
    others = [name for name in names if name != "vllm"]
    return (*_made_for_torch(snapshot, world, here, names), *(_again(snapshot, others) if others else ()))


def _of_image(image: ImageVendor, names: Sequence[str]) -> Fix:
    return Fix(
        title=f"Start anew from {image.value}, whose {plain_list(names)} and torch belong together",
        note="What pip has laid over them since is the cause: install your packages there without torch and what pins it. What "
        "the image does not have is compiled in it: `pip install --no-build-isolation`.",
    )


def _made_for_torch(snapshot: Snapshot, world: Knowledge, here: Installation, names: Sequence[str]) -> tuple[Fix, ...]:
    """Of packages whose releases pin torch: the newest that pins the one that is there; for what decides torch, the torch."""
    fixes = []
    for name in names:
        holding = next((pin for pin in here.pins if pin.package == name), None)
        if name == "vllm" and holding is not None:
            fixes.append(_as_published(here.release, holding))
            continue
        row = _release_for(world, name, here.release)
        if name == "vllm":
            version = row.version if row is not None else None
            fixes.append(
                _as_published(here.release, Pin(name, version, here.release)) if version else _see_vllm(snapshot)
            )
        elif row is not None:
            index = ("--index-url", here.index_url) if here.index_url and name == "xformers" else ()
            fixes.append(
                Fix(
                    title=f"Install {name} {row.version}, which was built for torch {here.release}",
                    commands=(quoted([*installer(snapshot), *FRESH, f"{name}=={row.version}", *index]),),
                    verify=_verify(snapshot, name),
                )
            )
    return tuple(fixes)


def _release_for(world: Knowledge, name: str, torch: str | None) -> Companion | None:
    if torch is None or not torch[:1].isdigit() or name not in world.companion_packages():
        return None
    # A release that takes any torch was not built for this one.
    return next((row for row in world.companions(name, torch) if row.torch.startswith("==")), None)


def _as_published(have: str | None, holding: Pin) -> Fix:
    """vLLM is compiled against one torch, which comes with it: an environment of its own keeps other packages from both."""
    name, version = holding.package, holding.version
    known = have is not None and have[:1].isdigit()
    replaced = (
        f" torch {have} is there, which another package has put there."
        if known and not holding.allows(have or "")
        else ""
    )
    return Fix(
        title=f"Install {name} {version} with the torch that it pins"
        + (f", {holding.torch}," if holding.torch else "")
        + " in an environment of its own",
        commands=(
            "uv venv --seed .venv-vllm",
            f"uv pip install --python .venv-vllm {name}=={version} --torch-backend=auto",
        ),
        note=f"{name} is compiled against one torch.{replaced} uv takes it from the index that the driver is good for.",
    )


def _see_vllm(snapshot: Snapshot) -> Fix:
    return Fix(
        title="Give vllm the torch that it pins, in an environment of its own: see which release it is",
        commands=(quoted([python(snapshot.interpreter), "-m", "pip", "show", "vllm", "torch"]),),
        note="Then: uv venv --seed .venv-vllm; uv pip install --python .venv-vllm vllm==VERSION --torch-backend=auto",
    )


def _again(snapshot: Snapshot, names: Sequence[str]) -> tuple[Fix, ...]:
    listed, verify = plain_list(names), _verify(snapshot, names[0])
    by_source = [name for name in names if name in ONLY_SOURCES]
    if by_source:
        return (
            Fix(
                title=f"Build {plain_list(by_source)} once more from its repository, against the torch that is there",
                note=f"In the checkout of {plain_list(by_source)}: remove the build folder, then `pip install "
                "--no-build-isolation .`; it needs nvcc of torch's CUDA version.",
                verify=verify,
            ),
        )
    if "torchcodec" in names:
        return (torchcodec_for_torch(snapshot),)
    anew = install_into(
        snapshot,
        [*FRESH, "--upgrade", *names],
        title=f"Install the newest {listed}, when it has a build for this torch",
        note="Projects with builds per torch version name the right address on their installation page.",
        verify=verify,
    )
    build = install_into(
        snapshot,
        [*FRESH, "--no-build-isolation", *(f"--no-binary={name}" for name in names), *names],
        title=f"Compile {listed} against the torch that is there (needs nvcc of torch's CUDA version)",
        verify=verify,
    )
    if set(names) & set(WITHOUT_SOURCES):
        return (anew,)
    return (build,) if set(names) <= set(SOURCES_ON_PYPI) else (anew, build)


def torchcodec_for_torch(snapshot: Snapshot) -> Fix:
    """Each torchcodec is for one or few releases of torch, and its newest is for the newest of torch only."""
    return Fix(
        title="Install the torchcodec that goes with this torch, from the same index",
        commands=(quoted([python(snapshot.interpreter), "-m", "pip", "show", "torch", "torchcodec"]),),
        note="The table of releases that go together: https://github.com/meta-pytorch/torchcodec#installing-torchcodec. Then "
        "`pip install --no-deps torchcodec==VERSION`, with the --index-url that torch was installed with, if any. It also needs "
        "FFmpeg's shared libraries.",
        verify=_verify(snapshot, "torchcodec"),
    )


def _verify(snapshot: Snapshot, name: str) -> str:
    return run_python(snapshot, f"import torch, {name.removesuffix('-python').replace('-', '_')}")


def compile_for_gpus(snapshot: Snapshot, name: str | None, gpus: Sequence[MachineGpu]) -> Fix:
    """Compiles an extension (`name`, or the one that the text names) for the GPUs, those that nvidia-smi lists where none is
    known."""
    name = name or failing_package(snapshot)
    wanted = ";".join(sorted({gpu.capability for gpu in gpus if gpu.capability})) or CAPABILITIES
    variable = f'export TORCH_CUDA_ARCH_LIST="{wanted}"'
    if wanted == CAPABILITIES and snapshot.host is not None and snapshot.host.system == "Windows":
        variable = (
            "set TORCH_CUDA_ARCH_LIST=CAPABILITY   # what `nvidia-smi --query-gpu=compute_cap --format=csv` shows"
        )
    if name in WITHOUT_SOURCES:
        return Fix(
            title=f"See whether a newer release of {name} has code for this GPU: the one that is installed has not",
            commands=(quoted([*installer(snapshot), "--upgrade", "--dry-run", "--no-deps", name]),),
            note=f"The installation page of {name} names its GPUs; for others it is built from its repository, if at all.",
        )
    checkout = (
        "In a checkout: remove its build folder, then `pip install --no-build-isolation .` with the variable set."
    )
    if name is None or name in ONLY_SOURCES:
        return Fix(
            title=f"Compile {name or 'the extension that the traceback names'} for the GPUs that are here",
            commands=(variable,),
            note=f"{checkout} A newer release may have a wheel with this GPU.",
        )
    fix = install_into(snapshot, [*FRESH, "--no-build-isolation", f"--no-binary={name}", name], title="")
    return Fix(
        title=f"Compile {name} for the GPUs that are here",
        commands=(variable, fix.commands[0]),
        note=f"{checkout} A newer release may have a wheel with this GPU.",
    )
