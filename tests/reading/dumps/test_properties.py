"""What holds for every text: no error but InputError, and no fact out of nothing."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from envdoctor.errors import InputError
from envdoctor.reading.dumps import read
from tests.reading.dumps import samples

DUMPS = list(samples.LAYOUTS.values())
CHARACTERS = st.characters(exclude_categories=["Cs"])
"""Bytes that are no UTF-8 are replaced as they are decoded: no text holds half a surrogate pair."""
SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def outcome(text: str) -> dict[str, Any]:
    """The facts in a text, {} where it is refused; whatever else it raises fails the test."""
    try:
        snapshot = read(text)
    except InputError as error:
        assert "\n" not in str(error)
        return {}
    facts: dict[str, Any] = msgspec.to_builtins(snapshot)
    for name in ("schema", "source", "messages", "environment_complete"):
        facts.pop(name, None)
    return facts


def leaves(facts: Any, path: str = "") -> dict[str, Any]:
    """Every single fact by its path; the entries of a list by what they are about, not by their place."""
    if isinstance(facts, dict):
        return {key: value for name, part in facts.items() for key, value in leaves(part, f"{path}.{name}").items()}
    if isinstance(facts, (list, tuple)):
        found: dict[str, Any] = {}
        for place, part in enumerate(facts):
            about = part.get("index", part.get("name", place)) if isinstance(part, dict) else part
            found.update(leaves(part, f"{path}[{about}]"))
        return found
    return {path: facts}


@pytest.mark.parametrize("name", samples.LAYOUTS)
def test_a_dump_may_be_cut_anywhere(name: str) -> None:
    text = samples.LAYOUTS[name]
    for end in range(0, len(text), 11):
        outcome(text[:end])
        outcome(text[end:])


# Facts that another fact decides: with less to go by, another answer is the right one. A build is 'cpu' where torch says that it
# knows no CUDA and 'rocm' or 'xpu' where it says so elsewhere; a version without its local part comes from another list; a torch
# that only lists name was not imported.
DECIDED_BY_OTHERS = (
    ".interpreter.torch.build",
    ".interpreter.torch.cuda",
    ".interpreter.torch.version",
    ".interpreter.torch_installed",
    ".nvml.message",
)


@pytest.mark.parametrize("name", samples.LAYOUTS)
def test_a_line_less_never_makes_a_fact_more(name: str) -> None:
    lines = samples.LAYOUTS[name].splitlines(keepends=True)
    whole = leaves(outcome("".join(lines)))
    for place, line in enumerate(lines):
        for path, value in leaves(outcome("".join(lines[:place] + lines[place + 1 :]))).items():
            if path in DECIDED_BY_OTHERS or "distributions" in path or "devices" in path:
                continue
            if ".nvml.gpus" in path:  # a card's name in what is then running text
                continue
            assert path in whole, f"{line!r} left out invents {path} = {value!r}"


@SETTINGS
@given(st.sampled_from(DUMPS), st.data())
def test_lines_may_be_in_any_order(dump: str, data: st.DataObject) -> None:
    outcome("\n".join(data.draw(st.permutations(dump.splitlines()))))


@SETTINGS
@given(st.sampled_from(DUMPS), st.lists(st.tuples(st.integers(0, 5000), CHARACTERS), min_size=1, max_size=30))
def test_any_characters_may_be_changed(dump: str, changes: list[tuple[int, str]]) -> None:
    text = list(dump)
    for place, character in changes:
        text[place % len(text)] = character
    outcome("".join(text))


@SETTINGS
@given(st.sampled_from(DUMPS), st.sampled_from(DUMPS), st.integers(0, 5000), st.integers(0, 5000))
def test_dumps_may_be_cut_into_one_another(one: str, other: str, first: int, second: int) -> None:
    outcome(one[: first % len(one)] + other[second % len(other) :])


@SETTINGS
@given(st.text(max_size=3000))
def test_any_text_is_read_or_refused(text: str) -> None:
    outcome(text)


@SETTINGS
@given(st.binary(max_size=3000))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        read(data)
    except InputError as error:
        assert "\n" not in str(error)


# Words of the formats in any order find more than characters do.
WORDS = st.sampled_from(
    sorted({word for dump in DUMPS for word in dump.split()})[:1500]
    + ["\n"] * 200
    + [": ", "  ", "|", "==", "GPU 0:", "[pip3] ", "[conda] ", "N/A", "{", '"schema": "envdoctor.snapshot/1"']
)


@SETTINGS
@given(st.lists(WORDS, max_size=200))
def test_any_words_of_the_formats_are_read_or_refused(words: list[str]) -> None:
    outcome(" ".join(words))


@SETTINGS
@given(st.sampled_from(["Is CUDA available", "CUDA runtime version", "GPU models and configuration", "OS", "Python version",
                        "Python platform", "Libc version", "Nvidia driver version", "cuDNN version", "PyTorch version",
                        "CUDA used to build PyTorch", "NVCC", "CUDA_HOME", "Platform"]), st.text(max_size=200))  # fmt: skip
def test_any_value_behind_a_known_label_is_read_or_refused(label: str, value: str) -> None:
    outcome(f"PyTorch version: 2.1.0\nIs debug build: False\n{label}: {value}\n")
    outcome(f"sys.platform: linux\n{label}: {value}\n{label}  {value}\n")
