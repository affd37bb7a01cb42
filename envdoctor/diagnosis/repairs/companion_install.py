"""The torchvision or torchaudio that goes with the torch that is there, from the index that this torch is from.

torch stays: it may be the one that a GPU, a driver or another package needs.
"""

from __future__ import annotations

from envdoctor.diagnosis.model import Fix
from envdoctor.diagnosis.repairs.installation import Accelerator, ImageVendor, Installation, TorchOrigin, installation
from envdoctor.diagnosis.repairs.python_environment import (
    conda_install,
    installer,
    python,
    quoted,
    reinstall,
    run_python,
    uninstall_from,
)
from envdoctor.diagnosis.repairs.torch_install import TOGETHER, for_other_gpus
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.reading.case import LIVE

PAIRS = "https://github.com/pytorch/vision#installation"


def companion_fixes(snapshot: Snapshot, world: Knowledge, name: str) -> tuple[Fix, ...]:
    """The repair of a torchvision or torchaudio (`name`) that was made for another torch; what to look at where the installed
    torch is not known well enough."""
    here = installation(snapshot, world)
    release = here.release or ""
    verify = run_python(snapshot, f"import torch, {name}; print(torch.__version__, {name}.__version__)")
    if here.image is not None or here.channel is TorchOrigin.OWN_BUILD:
        return (_of_own_build(here, name),)
    if here.of_other_gpus and (here.variant or "").startswith("cu"):
        return (for_other_gpus(snapshot, world, here),)
    if here.channel is TorchOrigin.NIGHTLY:
        both = quoted([*installer(snapshot), "--pre", "torch", name, "--index-url", here.index_url or ""])
        return (
            Fix(
                title=f"Install torch and {name} of one night, from the {here.variant} nightly channel",
                commands=(uninstall_from(snapshot, ["torch", name]), both),
                note="Nightlies of different nights are not made for each other.",
                verify=verify,
            ),
        )
    wanted = None
    if release[:1].isdigit():
        wanted = world.torchvision_for(release) if name == "torchvision" else world.torchaudio_for(release)
    if wanted is None:
        return (_see_both(snapshot, name, release),)
    title = f"Install {name} {wanted}, made for torch {release}"
    if here.channel is TorchOrigin.CONDA:
        return (conda_install(snapshot, [f"pytorch={release}", f"{name}={wanted}"], title=title),)
    if (
        here.channel is TorchOrigin.UNKNOWN and here.accelerator is not Accelerator.APPLE
    ):  # the Mac's builds are PyPI's alone
        by_index = f"{quoted([*installer(snapshot), '--force-reinstall', '--no-deps', f'{name}=={wanted}'])}"
        return (
            Fix(
                title=f"{title}, from the index that this torch is from: see which",
                commands=(quoted([python(snapshot.interpreter), "-m", "pip", "show", "torch"]),),
                note=f"For version {release} without a +, which is PyPI's: {by_index}. For {release}+cu126, say, the same with "
                f"--index-url {world.torch_index('cu126')}.",
                verify=verify,
            ),
        )
    index = here.index_url
    if index is None and snapshot.source != LIVE and "+" in (snapshot.torch.version or "" if snapshot.torch else ""):
        index = world.torch_index(here.variant or "")  # a text may be of another system, where PyPI has another build
    fix = reinstall(snapshot, [f"{name}=={wanted}"], index, title=title)
    return (Fix(title=fix.title, commands=fix.commands, verify=verify),)


def _of_own_build(here: Installation, name: str) -> Fix:
    if here.image in (ImageVendor.NVIDIA, ImageVendor.VLLM, ImageVendor.SGLANG):
        return Fix(
            title=f"Start anew from {here.image.value}, whose {name} was built for its torch",
            note=f"pip has laid another {name} over it: install your packages without torch, torchvision and torchaudio there.",
        )
    return Fix(
        title=f"Take {name} from where this torch is from, or build it against it",
        note="No index has a torch like this one: it is a vendor's, or was compiled here. No wheel of an index is made for it.",
    )


def _see_both(snapshot: Snapshot, name: str, release: str) -> Fix:
    return Fix(
        title=f"See which torch and {name} are there: each {name} is made for one torch",
        commands=(quoted([python(snapshot.interpreter), "-m", "pip", "show", "torch", name]),),
        note=f"Which go together: {PAIRS}. " + ("" if release else TOGETHER),
    )
