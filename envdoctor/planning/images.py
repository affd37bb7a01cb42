"""Container images for a plan: only tags that were seen to exist."""

from __future__ import annotations

from envdoctor.knowledge import Knowledge, TorchBuild
from envdoctor.knowledge.versions import cuda_key
from envdoctor.planning.model import Target

# What the official python images are themselves built on, for a Python that has none (free-threaded builds).
_DEBIAN = "debian:trixie-slim"


def toolkit_of(build: TorchBuild, target: Target, world: Knowledge) -> str | None:
    """The CUDA minor to build extensions with: torch's own; where no nvidia/cuda devel image of it is known, the nearest of the
    same major, newer before older. torch's builder refuses another major and warns of another minor."""
    if build.cuda is None:
        return None
    if not target.platform.startswith("linux"):
        return build.cuda
    wanted = cuda_key(build.cuda)
    minors = {cuda_key(image.cuda) for image in world.cuda_images(flavour="devel", cudnn=False)}
    same_major = [minor for minor in minors if minor[0] == wanted[0]]
    if not same_major:
        return build.cuda
    nearest = min(same_major, key=lambda minor: (abs(minor[1] - wanted[1]), minor[1] < wanted[1]))
    return f"{nearest[0]}.{nearest[1]}"


def build_image(toolkit: str, target: Target, world: Knowledge) -> str | None:
    """The nvidia/cuda devel image of that toolkit on the newest Ubuntu it is there for. None off Linux."""
    if not target.platform.startswith("linux"):
        return None
    images = [
        image
        for image in world.cuda_images(toolkit, flavour="devel", cudnn=False)
        if image.os.startswith("ubuntu") and cuda_key(image.cuda) == cuda_key(toolkit)
    ]
    return images[0].reference if images else None


def base_image(python: str, built_in: str | None, target: Target, world: Knowledge) -> str | None:
    """What to run in: the slim image of that Python; after a build, the Ubuntu that was built on, so that what was compiled
    finds its C library. None off Linux."""
    if not target.platform.startswith("linux"):
        return None
    if built_in is not None:
        return f"ubuntu:{built_in.rpartition('ubuntu')[2]}"
    image = world.python_image(python)
    return image.reference if image is not None else _DEBIAN
