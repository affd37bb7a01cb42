"""Draws README's pictures, which are real output of the real code for machines that are described.

    python -m tests.pictures

Rich's SVG export draws them; a test holds that what is committed is what is printed today.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable
from html import unescape
from pathlib import Path

from envdoctor.console import Console
from envdoctor.diagnosis.judging import judge_content
from envdoctor.planning.planner import plan
from envdoctor.planning.target import describe
from envdoctor.planning.wishes import checked
from envdoctor.report.check.text import print_report
from envdoctor.report.plan.text import print_plan
from tests.as_of import then

FOLDER = Path(__file__).parent.parent / "docs" / "pictures"
COLUMNS = 116


def _check(console: Console) -> None:
    print_report(console, *judge_content(b"RTX 5090, driver 580.95.05, Ubuntu 24.04, torch 2.6.0+cu124", then()))


def _plan(console: Console) -> None:
    world = then()
    target = describe(world, gpus=("RTX 5090", "RTX 3090"), driver="580", os="ubuntu24.04", arch=None, base=None)
    print_plan(console, plan(target, checked(world), world))


PICTURES: dict[str, tuple[str, Callable[[Console], None]]] = {
    "check": ("echo RTX 5090, driver 580.95.05, Ubuntu 24.04, torch 2.6.0+cu124 | envdoctor check --from -", _check),
    "plan": ("envdoctor recipe plan --gpu 'RTX 5090' --gpu 'RTX 3090' --driver 580 --os ubuntu24.04", _plan),
}


def drawn(name: str) -> str:
    """The picture of that name, as SVG."""
    title, show = PICTURES[name]
    console = Console(record=True, file=io.StringIO(), width=COLUMNS, force_terminal=True, highlight=False)
    show(console)
    return console.export_svg(title=title, unique_id=name)


def words(svg: str) -> str:
    """What a picture says, whichever version of rich drew it."""
    return " ".join(unescape(" ".join(re.findall(r"<text[^>]*>([^<]*)</text>", svg))).split())


def main() -> int:
    FOLDER.mkdir(exist_ok=True)
    for name in PICTURES:
        (FOLDER / f"{name}.svg").write_text(drawn(name), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
