"""Files as people write them, held against no machine, against one with the newest GPU and against a server with an old driver.

What is expected was written down by what torch's wheels, NVIDIA's toolkits and pip do, not by what the linter says.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.linting.files import NOBODY, card, findings

NEW = card("NVIDIA GeForce RTX 5090", "12.0", driver="580.95.05", python="3.10.14")
SERVER = card("NVIDIA A100-SXM4-80GB", "8.0", driver="535.183.01", python="3.10.14")
SHAPES = Path(__file__).with_name("shapes.txt")


def shapes() -> Iterator[tuple[str, str, dict[str, set[str]]]]:
    """'=== NAME: title' begins one; 'nowhere:', 'new:' and 'server:' with what is found there, an empty line, the file's text."""
    for part in ("\n" + SHAPES.read_text(encoding="utf-8")).split("\n=== ")[1:]:
        head, _, text = part.partition("\n\n")
        title, *lines = head.splitlines()
        found = {key: set(codes.split()) for key, _, codes in (line.partition(":") for line in lines)}
        yield title, text.rstrip() + "\n", found


FILES = {title: (text, expected) for title, text, expected in shapes()}


@pytest.mark.parametrize("title", FILES)
def test_what_is_found_on_three_hosts(title: str) -> None:
    text, expected = FILES[title]
    for host, snapshot in (("nowhere", NOBODY), ("new", NEW), ("server", SERVER)):
        found = {finding.code for finding in findings(title.partition(":")[0], text, snapshot)}
        # CUDA in the image and in the wheels, and tags that NVIDIA deletes, are another matter.
        assert found - {"toolkit-multiple", "platform-unsupported"} == expected[host], host
