"""Files as their own tools read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor.errors import InputError
from envdoctor.linting import readers, shell
from envdoctor.linting.readers.docker_syntax import instructions
from envdoctor.linting.systems import parse, system_of_image


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("Dockerfile", "", "dockerfile"),
        ("gpu.Dockerfile", "", "dockerfile"),
        ("Dockerfile.train", "", "dockerfile"),
        ("Containerfile", "", "dockerfile"),
        ("docker-compose.yml", "services:\n", "compose"),
        ("env.yaml", "name: x\ndependencies:\n", "conda"),
        ("deploy.yaml", "kind: Job\n", None),
        ("requirements-dev.txt", "", "requirements"),
        ("pyproject.toml", "", "pyproject"),
        ("build", "# mine\nFROM scratch\n", "dockerfile"),
        ("train.py", "import torch\n", None),
    ],
)
def test_a_file_is_known_by_its_name_or_by_what_it_holds(name: str, text: str, kind: str | None) -> None:
    assert readers.kind_of(name, text) == kind


def test_continued_instructions_keep_the_numbers_of_their_lines() -> None:
    text = "FROM a\nRUN one \\\n  # a remark\n\n  two \\\n  three\nRUN <<EOF\nfour\nEOF\nENV A=b\n"
    read = list(instructions(text))
    assert [(i.keyword, i.line) for i in read] == [("FROM", 1), ("RUN", 2), ("RUN", 7), ("ENV", 10)]
    assert read[1].text.split() == ["one", "two", "three"]
    assert read[1].line_of("three") == 6
    assert read[2].line_of("four") == 8


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("apt-get update && pip install -U torch numpy", [["torch", "numpy"]]),
        ("FOO=1 sudo python3 -m pip --no-cache-dir install --pre torch", [["torch"]]),
        ("/opt/venv/bin/pip3 install --target /x 'torch==2.6.*'", [["torch==2.6.*"]]),
        ("uv pip install --system --python 3.12 torch", [["torch"]]),
        ("pip install torch > log.txt 2>&1; echo done", [["torch"]]),
        ("pip download torch", []),
        ("echo 'pip install torch'", []),
    ],
)
def test_what_a_shell_line_installs(text: str, expected: list[list[str]]) -> None:
    calls = [shell.pip_arguments(words) for words in shell.commands(text)]
    assert [shell.pip_call(call[1])["words"] for call in calls if call] == expected


@pytest.mark.parametrize(
    ("image", "system", "musl"),
    [
        ("ubuntu:24.04", "ubuntu24.04", False),
        ("docker.io/library/debian:12-slim", "debian12", False),
        ("nvidia/cuda:12.4.1-base-ubuntu22.04", "ubuntu22.04", False),
        ("nvidia/cuda:12.4.1-base-ubi9", "rhel9", False),
        ("python:3.12-slim-bookworm", "debian12", False),
        ("python:3.12-alpine", None, True),
        ("rockylinux:9", "rhel9", False),
        ("localhost:5000/mine", None, False),
    ],
)
def test_the_system_in_an_image(image: str, system: str | None, musl: bool) -> None:
    assert system_of_image(image) == (system, musl)


def test_a_port_is_not_a_tag() -> None:
    assert parse("localhost:5000/mine").tag == ""
    assert parse("localhost:5000/mine:1.2").tag == "1.2"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("pyproject.toml", "[project\n", "pyproject.toml is no TOML"),
        ("compose.yaml", "services:\n  a: [\n", "compose.yaml:3 is no YAML"),
        ("notes.md", "hello\n", "notes.md is of no kind that envdoctor reads"),
        ("compose.yaml", "services: " + "[" * 5000, "compose.yaml"),
    ],
)
def test_what_cannot_be_read_is_one_clear_line(name: str, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message.replace("[", r"\[")):
        readers.parse(name, text)


@pytest.mark.parametrize(
    "name", ["Dockerfile", "requirements.txt", "compose.yaml", "environment.yml", "pyproject.toml"]
)
@given(
    text=st.text(
        alphabet=st.sampled_from(
            list("FROMRUN pipinstall torch=<>2.615\n\\\"'${}:-[]#&|;services:dependencies-tool.uv")
        ),
        max_size=200,
    )
)
def test_no_text_breaks_a_reader(name: str, text: str) -> None:
    try:
        readers.parse(name, text)
    except InputError as error:
        assert str(error)
