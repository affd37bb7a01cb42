"""The console that every report is printed on: what comes from data is shown and never obeyed."""

from __future__ import annotations

from collections.abc import Iterable

import rich.console
from rich.segment import Segment

from envdoctor.credentials import without_credentials
from envdoctor.texts import visible


class Console(rich.console.Console):
    """rich's console. Its own colours and cursor moves are kept apart from texts, so they stay."""

    def print(self, *objects: object, **options: object) -> None:
        plain = (without_credentials(one) if isinstance(one, str) else one for one in objects)
        super().print(*plain, **options)  # type: ignore[arg-type]

    def render(
        self, renderable: rich.console.RenderableType, options: rich.console.ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control or (segment.text.isascii() and segment.text.isprintable()):
                yield segment
            else:
                yield Segment(visible(segment.text), segment.style)
