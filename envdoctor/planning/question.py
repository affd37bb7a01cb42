"""The question that every choice of a build answers: one target with its wishes, and which published builds meet both."""

from __future__ import annotations

from collections.abc import Sequence

from envdoctor.knowledge import Knowledge, TorchBuild
from envdoctor.knowledge.versions import cuda_key, version
from envdoctor.planning.limits import limits_of
from envdoctor.planning.model import Target, Wishes
from envdoctor.planning.search import Limit, Pool, meeting_all, pool_of


class Question:
    """One target with its wishes: the builds there are, the limits, and what is left of them."""

    def __init__(self, target: Target, wishes: Wishes, world: Knowledge) -> None:
        self.target, self.wishes, self.world = target, wishes, world
        self.pool = pool_of(world, target.platform)
        self.limits: tuple[Limit, ...] = limits_of(target, wishes, world, self.pool)
        self.start = self._start()

    def _start(self) -> int:
        """Which kind of build is meant: with a GPU, or with nothing said of one, a CUDA build wherever there is any."""
        cuda = self.pool.meeting("cuda builds", lambda build: build.cuda is not None)
        if self.target.gpus == () or self.wishes.cuda == "cpu" or (self.target.gpus is None and not cuda):
            return self.pool.all
        return cuda

    def best(self, limits: Sequence[Limit] | None = None) -> TorchBuild | None:
        """The build to take under these limits, all of them by default."""
        bits = meeting_all(self.limits if limits is None else limits, self.start)
        if not bits:
            return None
        if self.target.gpus == () and self.wishes.cuda is None:
            # Without a GPU the CPU build is a tenth of the download.
            bits = bits & self.pool.meeting("cpu", lambda build: build.cuda is None) or bits
        builds = self.pool.chosen(bits)
        newest = [build for build in builds if build.torch == builds[0].torch]
        return max(newest, key=lambda build: preference(build, self.target.capabilities, self.world, self.pool))

    def closest(self, *insisted: str, cpu: bool = False) -> TorchBuild | None:
        """Where nothing meets all: the build that breaks the fewest limits, the newest of those, among the builds that keep the
        limits on `insisted` ("torch", "cuda"). Device code that is not known for sure breaks none. `cpu`: builds for CPUs too."""
        start = self.pool.all if cpu else self.start
        bits = meeting_all((limit for limit in self.limits if limit.constraint in insisted), start)

        def merit(place: int) -> tuple[object, ...]:
            build = self.pool.builds[place]
            unread = any(self.world.serves(build, capability) is None for capability in self.target.capabilities)
            broken = sum(
                not limit.meets >> place & 1 and not (unread and limit.constraint == "gpu") for limit in self.limits
            )
            order = preference(build, self.target.capabilities, self.world, self.pool)
            return (-broken, not unread, version(build.torch), build.cuda is not None, order)

        places = [place for place in range(len(self.pool.builds)) if bits >> place & 1]
        return self.pool.builds[max(places, key=merit)] if places else None


def best_build(target: Target, wishes: Wishes, world: Knowledge) -> TorchBuild | None:
    """The build to install there: what a plan takes, a repair installs, a linted file is told to ask for. None: there is none."""
    return Question(target, wishes, world).best()


def newest_with_code(capability: str, platform: str, world: Knowledge) -> TorchBuild | None:
    """The newest build with torch's own device code for a GPU, whatever its cuDNN serves: a Kepler GPU has code up to
    2.7.1+cu118, whose cuDNN has no kernels for it any more, so convolutions fail there."""
    pool = pool_of(world, platform)
    coded = [build for build in pool.builds if build.cuda is not None and world.has_code(build, capability)]
    newest = [build for build in coded if build.torch == coded[0].torch]
    return max(newest, key=lambda build: preference(build, (capability,), world, pool), default=None)


def preference(
    build: TorchBuild, capabilities: Sequence[str], world: Knowledge, pool: Pool
) -> tuple[bool, bool, bool, tuple[int, int]]:
    """Among builds of one release, higher is better: a CUDA that knows the GPUs (on GB10, code for 12.0 runs with
    CUDA 12.8 too, but what is compiled at run time does not), what PyPI serves here, the CUDA that PyPI serves on
    Linux (the release's main one, where Windows has only the CPU build on PyPI), the newest CUDA."""
    cuda = cuda_key(build.cuda) if build.cuda else (0, 0)
    found = [world.architecture(capability) for capability in capabilities]
    known = all(record is None or record.first_cuda is None or cuda_key(record.first_cuda) <= cuda for record in found)
    return (known, build.index_url is None, build.variant == pool.main_variants.get(build.torch), cuda)
