"""What a described machine and its user ask of a torch build, one Limit each, in the order a person follows them."""

from __future__ import annotations

from collections.abc import Iterator

from envdoctor.knowledge import Knowledge, TorchBuild
from envdoctor.knowledge.versions import at_least, cuda_key, python_tag, specifier, version
from envdoctor.planning.driver_limits import driver_limits
from envdoctor.planning.model import Target, Wishes
from envdoctor.planning.package_limits import package_limits
from envdoctor.planning.search import Limit, Pool
from envdoctor.planning.words import PLATFORMS, capabilities_in_order, gpu_words, span, system_words


def limits_of(target: Target, wishes: Wishes, world: Knowledge, pool: Pool) -> tuple[Limit, ...]:
    """All of them: the GPUs, the driver, the C library, Python, then what the user pinned. For a CPU build no GPU counts."""
    on_gpu = wishes.cuda != "cpu"
    return (
        *(_gpus(target, world, pool) if on_gpu else ()),
        *(driver_limits(target, world, pool) if on_gpu else ()),
        *_glibc(target, wishes, pool),
        *_python(wishes, pool),
        *_torch(wishes, pool),
        *_cuda(wishes, pool),
        *package_limits(wishes, world, pool),
    )


def _gpus(target: Target, world: Knowledge, pool: Pool) -> Iterator[Limit]:
    for capability in reversed(capabilities_in_order(target.gpus or ())):
        names = gpu_words(dict.fromkeys(gpu for gpu in target.gpus or () if gpu.capability == capability))

        def coded(build: TorchBuild, capability: str = capability) -> bool:
            return build.cuda is not None and world.has_code(build, capability)

        def served(build: TorchBuild, capability: str = capability) -> bool:
            return coded(build, capability) and world.has_cudnn_kernels(build, capability)

        with_code = pool.meeting(("code", capability), coded)
        meets = pool.meeting(("gpu", capability), served)
        text = f"{names} (compute capability {capability}): {_reach(pool, with_code, meets, target)}"
        yield Limit(constraint="gpu", key=("gpu", capability), text=text, short=f"{names} ({capability})", meets=meets)


def _reach(pool: Pool, with_code: int, meets: int, target: Target) -> str:
    """Which builds serve a GPU, and where torch's code reaches further than its cuDNN."""
    if not with_code:
        text = f"no published torch for {PLATFORMS.get(target.platform, target.platform)} has code for it."
        if target.jetson:
            text += " NVIDIA's own wheels for JetPack (developer.nvidia.com/embedded/downloads) are not planned here."
        return text
    coded = pool.chosen(with_code)
    if not meets:
        return f"{span(coded)} has code for it, but its cuDNN has no kernels."
    served = pool.chosen(meets)
    text = f"code and cuDNN kernels are in {span(served)}."
    if coded[0].torch != served[0].torch:
        text += f" (There is code up to torch {coded[0].torch}, whose cuDNN has dropped it.)"
    return text


def _glibc(target: Target, wishes: Wishes, pool: Pool) -> Iterator[Limit]:
    glibc = None if wishes.container else target.glibc
    if glibc is None or not target.platform.startswith("linux"):
        return
    if glibc == "":
        yield Limit(
            constraint="glibc",
            key=("glibc", ""),
            text=f"{system_words(target)} has musl as its C library; torch is published for glibc only.",
            short="musl",
            meets=0,
        )
        return
    meets = pool.meeting(("glibc", glibc), lambda build: build.glibc is None or at_least(glibc, build.glibc))
    if meets == pool.all:
        return
    needs = sorted({b.glibc for b in pool.builds if b.glibc and not at_least(glibc, b.glibc)}, key=version)
    text = f"{system_words(target)} has glibc {glibc}: {span(pool.chosen(meets)) if meets else 'no build'} runs on it"
    text += f" (newer wheels need glibc {needs[-1]})." if needs else "."
    yield Limit(constraint="glibc", key=("glibc", glibc), text=text, short=f"glibc {glibc}", meets=meets)


def _python(wishes: Wishes, pool: Pool) -> Iterator[Limit]:
    if wishes.python is None:
        return
    tag = python_tag(wishes.python)
    meets = pool.meeting(("python", tag), lambda build: tag in build.python_tags)
    text = f"Python {tag} is insisted on: "
    text += f"wheels for it are in {span(pool.chosen(meets))}." if meets else "no published torch has wheels for it."
    yield Limit(constraint="python", key=("python", tag), text=text, short=f"Python {tag}", meets=meets)


def _torch(wishes: Wishes, pool: Pool) -> Iterator[Limit]:
    if wishes.torch is None:
        return
    accepted = specifier(wishes.torch)
    meets = pool.meeting(("torch", str(accepted)), lambda build: accepted.contains(version(build.torch)))
    releases = list(dict.fromkeys(build.torch for build in pool.chosen(meets)))
    if not releases:
        newest = pool.builds[0].torch if pool.builds else None
        text = f"torch {wishes.torch} was asked for: no published release fits"
        text += f" ({pool.builds[-1].torch} to {newest} are known)." if newest else "."
    elif len(releases) == 1:
        text = f"torch {wishes.torch} was asked for: that is {releases[0]}."
    else:
        text = f"torch {wishes.torch} was asked for: {releases[-1]} to {releases[0]} fit."
    yield Limit(constraint="torch", key=("torch", str(accepted)), text=text, short=f"torch {wishes.torch}", meets=meets)


def _cuda(wishes: Wishes, pool: Pool) -> Iterator[Limit]:
    asked = wishes.cuda
    if asked is None:
        return
    if asked == "cpu":
        meets = pool.meeting(("cuda", "cpu"), lambda build: build.cuda is None)
        yield Limit(
            constraint="cuda", key=("cuda", asked), text="A CPU build was asked for.", short="a CPU build", meets=meets
        )
        return

    def fits(build: TorchBuild) -> bool:
        if build.cuda is None:
            return False
        return cuda_key(build.cuda) == cuda_key(asked) if "." in asked else cuda_key(build.cuda)[0] == int(asked)

    meets = pool.meeting(("cuda", asked), fits)
    text = f"CUDA {asked} was asked for: "
    if meets:
        text += f"{span(pool.chosen(meets))} is built with it."
    else:
        published = sorted({build.cuda for build in pool.builds if build.cuda}, key=cuda_key)
        text += f"no torch has been published with it (there are {', '.join(published) or 'none here'})."
    yield Limit(constraint="cuda", key=("cuda", asked), text=text, short=f"CUDA {asked}", meets=meets)
