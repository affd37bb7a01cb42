"""What the sheets share."""

from __future__ import annotations

from envdoctor.compat.answer import Fact
from envdoctor.knowledge.builds import TorchBuild
from envdoctor.knowledge.world import Knowledge
from envdoctor.planning.driver_limits import branch_range, lowest_driver
from envdoctor.planning.model import Target
from envdoctor.planning.words import driver_words

Sheet = tuple[str, list[Fact], TorchBuild | None]
"""one sentence, the facts, and the build whose command belongs to it"""

# A GPU of each architecture still met, to show what a driver or a release serves.
GENERATIONS = ("3.7", "5.2", "6.1", "7.0", "7.5", "8.0", "8.6", "8.9", "9.0", "10.0", "12.0")


def with_driver(world: Knowledge, build: TorchBuild, target: Target) -> str | None:
    """'driver 580 or newer', by its branch where a later one drops the GPU; None for a CPU build or a Jetson."""
    if target.jetson or (needed := lowest_driver(build, target, world)) is None:
        return None
    return driver_words(needed, branch_range(target.gpus or (), world)[1], target.gpus or ())


def named(world: Knowledge, build: TorchBuild, target: Target) -> str:
    """'2.15.0+cu132, driver 580 or newer'."""
    driver = with_driver(world, build, target)
    return build.name + (f", {driver}" if driver is not None else "")


def served(world: Knowledge, build: TorchBuild) -> str:
    """The architectures that the build serves: "Turing to Blackwell", or one by one where there is a gap between."""
    desktop = [record for record in world.architectures() if not record.jetson and record.capability in GENERATIONS]
    coded = [record for record in desktop if world.has_code(build, record.capability)]
    full = [record for record in coded if world.has_cudnn_kernels(build, record.capability)]
    if not full:
        return "no known GPU"
    names = list(dict.fromkeys(record.name for record in full))
    order = list(dict.fromkeys(record.name for record in desktop))
    whole = order[order.index(names[0]) : order.index(names[-1]) + 1] == names
    text = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}" if whole else ", ".join(names)
    bare = list(dict.fromkeys(record.name for record in coded if record not in full))
    return f"{text} ({', '.join(bare)} without cuDNN)" if bare else text


def span(build: TorchBuild) -> str:
    plain = [tag for tag in build.python_tags if not tag.endswith("t")]
    return f"{plain[0]} to {plain[-1]}" if len(plain) > 1 else "".join(plain)
