"""Files as people write them, held against no machine, against one with the newest GPU and against a server with an old driver.

What is expected was written down by what torch's wheels, NVIDIA's toolkits and pip do, not by what the linter says.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from envdoctor.diagnosis.model import Diagnosed, WhyNotJudged
from envdoctor.errors import InputError
from envdoctor.facts.model import Snapshot
from envdoctor.linting import readers
from envdoctor.linting.linter import lint
from envdoctor.linting.machine import machine_of
from envdoctor.report.check.headline import headline
from tests.as_of import then
from tests.linting.files import NOBODY, card

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


def judged(name: str, text: str, snapshot: Snapshot) -> Diagnosed:
    return lint([readers.parse(name, text)], machine_of(snapshot, then()), then())


@pytest.mark.parametrize("title", FILES)
def test_what_is_found_on_three_hosts(title: str) -> None:
    text, expected = FILES[title]
    for host, snapshot in (("nowhere", NOBODY), ("new", NEW), ("server", SERVER)):
        found = {finding.code for finding in judged(title.partition(":")[0], text, snapshot).findings}
        # CUDA in the image and in the wheels, and tags that NVIDIA deletes, are another matter.
        assert found - {"toolkit-multiple", "platform-unsupported"} == expected[host], host


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("Dockerfile", "FROM ${BASE}\nRUN pip install transformers\n", WhyNotJudged.VARIABLE),
        ("Dockerfile", "FROM python:3.12\nRUN pip install $TORCH --extra-index-url $INDEX\n", WhyNotJudged.VARIABLE),
        ("Dockerfile", "FROM python:3.12\nRUN pip install -r requirements/gpu.txt\n", WhyNotJudged.UNREAD),
        ("Dockerfile", "FROM nvcr.io/nvidia/pytorch:24.05-py3\nRUN pip install peft\n", WhyNotJudged.IMAGE),
        ("Dockerfile", "FROM vllm/vllm-openai:v0.8.4\n", WhyNotJudged.IMAGE),
        (
            "compose.yaml",
            "services:\n  a:\n    image: nvcr.io/nvidia/pytorch:24.05-py3\n    gpus: all\n",
            WhyNotJudged.IMAGE,
        ),
        ("requirements.txt", "--index-url https://pypi.example.com/simple\ntorch\n", WhyNotJudged.INDEX),
        ("requirements.txt", "torch @ git+https://github.com/pytorch/pytorch\n", WhyNotJudged.ELSEWHERE),
        ("environment.yml", "channels: [conda-forge]\ndependencies:\n  - pytorch\n", WhyNotJudged.CONDA),
    ],
)
def test_what_cannot_be_judged_is_named_and_never_called_without_problems(
    name: str, text: str, why: WhyNotJudged
) -> None:
    found = judged(name, text, NEW)
    assert found.findings == ()
    assert why in {one.why for one in found.not_judged}
    assert headline(NEW, found).tone == "unknown"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Dockerfile", "FROM python:3.12-slim\nRUN pip install torch==2.15.0 torchvision==0.29.2\n"),
        ("requirements.txt", "torch==2.9.1\n"),
        ("requirements.txt", "requests\n"),
    ],
)
def test_what_was_judged_and_is_sound_has_no_problems(name: str, text: str) -> None:
    found = judged(name, text, NEW)
    assert not found.findings and not found.not_judged
    assert headline(NEW, found).tone == "good"


def test_what_was_understood_is_said() -> None:
    found = judged("Dockerfile", "FROM python:3.12-slim\nRUN pip install torch==2.15.0\n", NEW)
    assert [(one.about, one.line) for one in found.understood] == [("image", 1), ("Python", 1), ("torch", 2)]
    assert found.judged_for is not None and "5090" in found.judged_for
    assert judged("requirements.txt", "torch\n", NOBODY).judged_for is None


@pytest.mark.parametrize("name", ["pixi.toml", "setup.py", "poetry.lock", "train.py", "notes.json"])
def test_a_file_of_another_tool_is_refused_and_not_taken_for_a_dockerfile(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("FROM x\n[dependencies]\npytorch = '2.1.*'\n")
    with pytest.raises(InputError, match="of no kind that envdoctor reads"):
        readers.read(str(tmp_path / name))
