"""Replacing torch: the only place where a command that installs torch is made. It asks `installation` first.

A build is put where pip's torch was. Where something else decides which torch is here (an image, conda, a package that pins
it), where the GPU is not NVIDIA's, or where it is not known which build this is, the repair says that instead.
"""

from __future__ import annotations

import re

from envdoctor.diagnosis.model import Fix
from envdoctor.diagnosis.repairs.installation import (
    Accelerator,
    ImageVendor,
    Installation,
    Manager,
    TorchOrigin,
    installation,
)
from envdoctor.diagnosis.repairs.python_environment import (
    channel_words,
    conda_install,
    fitting_torch,
    installer,
    of_uv,
    python,
    quoted,
    run_python,
    uninstall_from,
    verify_torch,
)
from envdoctor.diagnosis.repairs.torch_pins import Pin
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge, TorchBuild
from envdoctor.planning.machine_gpus import visible_gpus
from envdoctor.planning.target import wheel_platform

FAMILY = ("torch", "torchvision", "torchaudio")
ROCM_GPUS = "https://rocm.docs.amd.com/projects/radeon-ryzen/en/latest/"
OLDEST_SURE = (7, 5)
"""Turing: the oldest compute capability that serving engines' newest releases are updated to without a second thought."""
TOGETHER = "Give what it prints together with the text to `envdoctor explain -`, which then names the command."


def install_torch(snapshot: Snapshot, world: Knowledge, build: TorchBuild, *, why: str) -> Fix:
    """Replaces torch and what belongs to it by `build`, keeping the companions that are installed now."""
    here = installation(snapshot, world)
    if here.of_other_gpus and build.cuda is not None:
        return for_other_gpus(snapshot, world, here)
    if here.image is not None:
        return _kept_by_image(here.image, f"torch {build.torch} with CUDA {build.cuda}" if build.cuda else build.name)
    holding = next((pin for pin in here.pins if not pin.allows(build.torch)), None)
    if holding is not None:
        return _update_holder(snapshot, world, here, holding, build)
    interpreter = snapshot.interpreter
    present = [name for name in FAMILY if _has(snapshot, name)]
    # The pins of torch decide; vision and audio come along when they were there, or when nothing was.
    wanted = present or ["torch", "torchvision"]
    if "torch" not in wanted:
        wanted.insert(0, "torch")
    install = installer(snapshot)
    commands, notes = [], []
    if here.manager is Manager.CONDA:
        commands.append(_remove_condas(snapshot))
    elif present or (interpreter is not None and interpreter.torch is not None):
        # pip takes 2.14.1+cpu for torch==2.14.1 and would leave it: the old build goes first.
        commands.append(uninstall_from(snapshot, present or wanted))
    commands.append(quoted([*install, *build.pip_arguments(*wanted)]))
    if "torchaudio" in wanted and build.torchaudio is None:
        notes.append(f"There is no torchaudio for torch {build.torch}.")
    if build.min_driver and snapshot.driver_version is None:
        notes.append(f"It needs driver {build.min_driver} or newer; `nvidia-smi` shows the one that is there.")
    if here.manager is Manager.POETRY:
        notes.append(
            "Poetry's lock file brings the old one back: name the index there too (a source in pyproject.toml)."
        )
    if interpreter and interpreter.externally_managed and interpreter.environment == "system":
        venv = "~/.venvs/torch"
        commands = [
            f"{quoted([python(interpreter), '-m', 'venv'])} {venv}",
            f"{venv}/bin/python -m pip install {quoted(build.pip_arguments(*wanted))}",
        ]
        notes.append(
            "This Python belongs to the operating system, so torch goes into a virtual environment of its own."
        )
    return Fix(
        title=f"Install torch {build.torch} ({channel_words(build)}): {why}",
        commands=tuple(commands),
        note=" ".join(notes) or None,
        verify=verify_torch(snapshot) if build.cuda else None,
    )


def restore_torch(snapshot: Snapshot, world: Knowledge) -> Fix:
    """Installs the torch that is there once more, with every library that it pins, from the index that it is from."""
    here = installation(snapshot, world)
    if here.image is not None:
        return _kept_by_image(here.image, None)
    if here.of_other_gpus and (here.variant or "").startswith("cu"):
        return for_other_gpus(snapshot, world, here)
    if here.channel is TorchOrigin.CONDA:
        return conda_install(
            snapshot,
            ["--force-reinstall", f"pytorch={here.release}" if here.release else "pytorch"],
            title=f"Install torch {here.release or ''} once more".replace("  ", " "),
        )
    if here.channel is TorchOrigin.OWN_BUILD:
        return Fix(
            title=f"Put torch {snapshot.torch.version if snapshot.torch else ''} back from where it was built",
            note="No index has this build: it is a vendor's, or was compiled here.",
        )
    if not here.reinstallable or here.release is None:
        return which_torch(
            snapshot,
            "Install the very torch that is there once more: see first which it is",
            "Version 2.9.1+cu126, say, is reinstalled by `pip install --force-reinstall torch==2.9.1 --index-url "
            f"{world.torch_index('cu126')}`; a version without a + is PyPI's and needs no --index-url.",
        )
    verify = run_python(snapshot, "import torch; print(torch.__version__, torch.cuda.is_available())")
    install = installer(snapshot)
    title = "Remove torch and install it once more, with the libraries that it pins"
    # Over what is there pip would keep a broken library whose version is the right one.
    again = "--force-reinstall"
    gone = uninstall_from(snapshot, ["torch"])
    if here.channel is TorchOrigin.NIGHTLY:
        names = [name for name in FAMILY if name == "torch" or _has(snapshot, name)]
        return Fix(
            title=f"Remove torch and install the newest nightly of the {here.variant} channel",
            commands=(
                uninstall_from(snapshot, names),
                quoted([*install, "--pre", again, *names, "--index-url", here.index_url or ""]),
            ),
            note="A nightly is kept on its index for some weeks only, and is on no other.",
            verify=verify,
        )
    index = ["--index-url", here.index_url] if here.index_url else []
    return Fix(title=title, commands=(gone, quoted([*install, again, f"torch=={here.release}", *index])), verify=verify)


def which_torch(snapshot: Snapshot, title: str, note: str) -> Fix:
    """Asks for the build that is installed: its version's local part names the index. It does not import torch."""
    return Fix(title=title, commands=(quoted([python(snapshot.interpreter), "-m", "pip", "show", "torch"]),), note=note)


def which_gpu(title: str, note: str | None = None) -> Fix:
    """Asks for what a build is chosen by."""
    return Fix(
        title=title,
        commands=("nvidia-smi --query-gpu=name,compute_cap,driver_version --format=csv",),
        note=" ".join(part for part in (note, TOGETHER) if part),
    )


def for_other_gpus(snapshot: Snapshot, world: Knowledge, here: Installation) -> Fix:
    """The build for a GPU that CUDA does not drive."""
    if here.image is not None:
        return _kept_by_image(here.image, "another build")
    install, system = installer(snapshot), (wheel_platform(snapshot) or "").partition("_")[0]
    names = ["torch", *(name for name in FAMILY[1:] if name == "torchvision" or _has(snapshot, name))]
    gone = (uninstall_from(snapshot, names),)
    if here.accelerator is Accelerator.APPLE:
        return Fix(
            title="A Mac has no CUDA: PyPI's build uses its GPU as the device 'mps'",
            note="Ask for `mps` (or `cpu`) instead of `cuda` where the program lets you choose a device.",
            verify=run_python(snapshot, "import torch; print(torch.backends.mps.is_available())"),
        )
    if here.accelerator is Accelerator.INTEL:
        return Fix(
            title="Install the build for Intel GPUs: CUDA does not drive them",
            commands=(*gone, quoted([*install, *names, "--index-url", world.torch_index("xpu")])),
            note="The device is called 'xpu' there, not 'cuda'.",
            verify=run_python(snapshot, "import torch; print(torch.xpu.is_available())"),
        )
    newest = newest_rocm(world)
    if system != "linux" or newest is None:
        return Fix(
            title="CUDA does not drive an AMD GPU: take AMD's own build of torch for this system",
            note=f"pytorch.org has builds for AMD's GPUs for Linux only. AMD's page names the GPUs and the command: {ROCM_GPUS}",
        )
    return Fix(
        title=f"Install torch {newest.torch} for AMD GPUs (the {newest.variant} channel): CUDA does not drive them",
        commands=(*gone, quoted([*install, *newest.pip_arguments(*names)])),
        note=f"The GPUs that ROCm supports: {ROCM_GPUS}",
        verify=run_python(snapshot, "import torch; print(torch.version.hip, torch.cuda.is_available())"),
    )


def newest_rocm(world: Knowledge) -> TorchBuild | None:
    """The newest build for AMD's GPUs whose publication is known."""
    builds = [build for build in world.torch_builds() if build.variant.startswith("rocm")]
    newest = [build for build in builds if build.torch == builds[0].torch]
    return max(newest, key=lambda b: [int(part) for part in b.variant.removeprefix("rocm").split(".")], default=None)


def _has(snapshot: Snapshot, name: str) -> bool:
    return bool(snapshot.interpreter and snapshot.interpreter.distribution(name))


def _remove_condas(snapshot: Snapshot) -> str:
    """Takes conda's torch out, so that pip's is not laid over it."""
    interpreter = snapshot.interpreter
    there = {p.name for p in (interpreter.conda_packages or () if interpreter else ()) if p.channel != "pypi"}
    names = [name for name in ("pytorch", "torchvision", "torchaudio", "pytorch-cuda") if name in there]
    where = ["-p", interpreter.prefix] if interpreter and interpreter.prefix else []
    return quoted(["conda", "remove", *where, *(names or ["pytorch"])])


def _kept_by_image(image: ImageVendor, wanted: str | None) -> Fix:
    """Another torch than the image's would lose what the image was built for."""
    why = f"{wanted} is needed, and pip's wheel" if wanted else "pip's wheel"
    note = f"{why} would replace a torch that was built together with everything else in it."
    if image is ImageVendor.NIX:
        return Fix(
            title="Change torch where Nix's configuration names it",
            note=f"{note} The package with CUDA's binaries is python3Packages.torch-bin.",
        )
    if image is ImageVendor.JETPACK:
        return Fix(
            title="Take torch from where NVIDIA has it for this JetPack: PyPI's wheels are for other Arm machines",
            commands=("cat /etc/nv_tegra_release   # the release that the wheel must be for",),
            note="https://docs.nvidia.com/deeplearning/frameworks/install-pytorch-jetson-platform/",
        )
    return Fix(
        title=f"Take a newer release of {image.value} as it is"
        if wanted
        else f"Start anew from {image.value}, without installing torch over its own",
        note=note,
    )


def _update_holder(snapshot: Snapshot, world: Knowledge, here: Installation, holding: Pin, build: TorchBuild) -> Fix:
    """A package that pins torch is updated to a release that pins one which fits; torch alone is not replaced under it."""
    capabilities = [gpu.capability for gpu in visible_gpus(snapshot, world) or () if gpu.capability]
    # Whether its newer releases still have kernels for GPUs that old, no table says.
    old = any(tuple(map(int, capability.split("."))) < OLDEST_SURE for capability in capabilities)
    for row in world.companions(holding.package)[:12] if not old else ():
        exact = re.fullmatch(r"==(\d[\w.]*)", row.torch)
        fits = fitting_torch(snapshot, world, torch=row.torch, device="cuda") if exact else None
        if exact and fits is not None and fits.cuda and not holding.allows(exact[1]):
            install = installer(snapshot)
            if holding.package == "vllm":
                # vLLM's own instructions: uv takes the torch that vLLM pins from the index that the driver is good for.
                install = ["uv", "pip", "install", *of_uv(snapshot)]
                backend = ["--torch-backend", "auto"]
            else:
                backend = ["--index-url", fits.index_url] if fits.index_url else []
            return Fix(
                title=f"Update {holding.package}, which pins {holding.words}, to {row.version}, which pins torch {exact[1]}",
                commands=(quoted([*install, "--upgrade", f"{holding.package}=={row.version}", *backend]),),
                note=f"torch alone is not to be replaced: {holding.package} was compiled against the one that it pins.",
                verify=verify_torch(snapshot),
            )
    return Fix(
        title=f"torch alone cannot be replaced here: {f'{holding.package} {holding.version}'.strip()} pins {holding.words}",
        note=f"torch {build.name} would run; {holding.package} was compiled against the one that it pins. Take a release of "
        f"{holding.package} for another torch, or give torch {build.torch} an environment without {holding.package}.",
    )
