"""Which published builds meet which limits, as sets of bits: so that dropping a limit, or trying a change, costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import lru_cache
from itertools import combinations

import msgspec

from envdoctor.knowledge import Knowledge, TorchBuild

LARGEST_CONFLICT = 4


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a build has to meet. `constraint`: as in Reason. `key`: equal for limits that ask the same. `meets`: the
    builds that do, as bits of the pool. `short`: the limit in a few words, as it stands in a conclusion."""

    constraint: str
    key: Hashable
    text: str
    short: str
    meets: int


class Pool:
    """The published builds of one platform, newest release first, and what was asked of them so far."""

    def __init__(self, world: Knowledge, platform: str) -> None:
        yanked = {release.version for release in world.torch_releases() if release.yanked}
        self.builds: tuple[TorchBuild, ...] = tuple(
            build
            for build in world.torch_builds()
            if build.platform == platform and build.torch not in yanked and not build.variant.startswith("rocm")
        )
        self.all = (1 << len(self.builds)) - 1
        # Of every release, the build that PyPI serves on any platform: its main CUDA.
        self.main_variants = {
            build.torch: build.variant for build in world.torch_builds() if build.index_url is None and build.cuda
        }
        self._asked: dict[Hashable, int] = {}
        self._told: dict[Hashable, tuple[str | None, ...]] = {}

    def meeting(self, key: Hashable, test: Callable[[TorchBuild], bool]) -> int:
        """The builds that pass, as bits; one `key` is asked once."""
        if key not in self._asked:
            self._asked[key] = bits_where(test(build) for build in self.builds)
        return self._asked[key]

    def told(self, key: Hashable, tell: Callable[[TorchBuild], str | None]) -> tuple[str | None, ...]:
        """What is to be said of each build; one `key` is asked once."""
        if key not in self._told:
            self._told[key] = tuple(tell(build) for build in self.builds)
        return self._told[key]

    def chosen(self, bits: int) -> list[TorchBuild]:
        """The builds of these bits, newest release first."""
        return [build for place, build in enumerate(self.builds) if bits >> place & 1]


def bits_where(passed: Iterable[bool]) -> int:
    """One bit for each that passed, the first the lowest."""
    return sum(1 << place for place, good in enumerate(passed) if good)


@lru_cache(maxsize=8)
def pool_of(world: Knowledge, platform: str) -> Pool:
    """The pool of a platform, shared: what was asked once of the builds holds for every plan."""
    return Pool(world, platform)


def meeting_all(limits: Iterable[Limit], start: int) -> int:
    """The builds that meet every one of the limits."""
    for limit in limits:
        start &= limit.meets
    return start


def smallest_conflict(limits: Sequence[Limit], start: int) -> tuple[Limit, ...]:
    """The fewest limits that no build meets together, the earliest of equally small sets; all of them where that takes more
    than LARGEST_CONFLICT."""
    for size in range(min(LARGEST_CONFLICT, len(limits)) + 1):
        for some in combinations(limits, size):
            if not meeting_all(some, start):
                return some
    return tuple(limits)
