"""What the tables cannot rule out: a wheel that was not seen, device code that was not read. True, False or None (not known)."""

from __future__ import annotations

import re

from envdoctor.knowledge.architectures import Architectures
from envdoctor.knowledge.builds import TorchBuild, TorchRelease, Unpublished
from envdoctor.knowledge.channels import ChannelList
from envdoctor.knowledge.published import Published
from envdoctor.knowledge.torch_tables import Builds
from envdoctor.knowledge.versions import cuda_key

# On this day every older toolkit was uploaded to PyPI at once: only later days say when a CUDA came out.
_FIRST_UPLOADS = "2025-08-13"


class Certainty:
    """Judges absence; presence is the tables' own business."""

    def __init__(
        self, builds: Builds, architectures: Architectures, channels: ChannelList, published: Published
    ) -> None:
        self._builds = builds
        self._architectures = architectures
        self._channels = channels
        self._days = published

    def published(self, torch: str, variant: str, platform: str) -> bool | None:
        """Knowledge.wheel_published."""
        release = self._builds.release(torch)
        if release is None or release.version != torch:
            return None
        builds = [build for build in self._builds.all if build.torch == torch]
        if any(build.variant == variant and build.platform == platform for build in builds):
            return True

        def names(rows: tuple[Unpublished, ...]) -> bool:
            return any(row.variant == variant and (not row.platforms or platform in row.platforms) for row in rows)

        if names(release.unconfirmed):
            return None
        channel = self._channels.find(variant)
        if names(release.not_published) or (channel is not None and channel.complete):
            return False
        newest = max((cuda_key(build.cuda) for build in builds if build.cuda), default=(0, 0))
        return False if self._came_later(variant, release, newest) else None

    def _came_later(self, variant: str, release: TorchRelease, newest: tuple[int, int]) -> bool:
        """Whether a variant's CUDA came after a release, whose newest CUDA is `newest`."""
        match = re.fullmatch(r"cu(\d{2})(\d)", variant)
        if match is None or cuda_key(variant) <= newest:
            return False
        minor = f"{match[1]}.{match[2]}."
        days = [day for text, day in self._days.versions("cuda-toolkit").items() if f"{text}.".startswith(minor)]
        return bool(days) and min(days) > max(release.date, _FIRST_UPLOADS)

    def may_serve(self, build: TorchBuild, capability: str) -> bool | None:
        """Whether a build whose list has no code for a GPU may have it all the same: False (it has not) or None."""
        if build.cuda is None or build.list_is_certain:
            return False
        return False if self._architectures.reaches(build.cuda, capability) is False else None
