"""Messages are found in every dress in which people paste them, in linear time, and nowhere else."""

from __future__ import annotations

import io
import re
import time

import pytest

from envdoctor.diagnosis.catalogue import all_diagnoses, all_messages
from envdoctor.reading.messages.message import Message
from envdoctor.reading.messages.normalised_text import Page, cleaned
from envdoctor.reading.messages.pattern import PLACEHOLDER, Signature, compile_all, compile_message
from envdoctor.reading.messages.scan import BLOCK, scan
from tests.diagnosis.texts import codes, judged

SIGNATURES = compile_all(all_messages())
DRIVER = (
    "The NVIDIA driver on your system is too old (found version 11040). Please update your GPU driver by downloading and "
    "installing a new version from the URL: http://www.nvidia.com/Download/index.aspx"
)


def primary(text: str | bytes) -> str | None:
    found = judged(text).primary
    return found.code if found else None


def found(text: str | bytes, *signatures: Signature) -> list[str]:
    data = text.encode() if isinstance(text, str) else text
    return [match.code for match in scan(io.BytesIO(data), signatures or SIGNATURES).matches]


def filled(message: Message) -> str:
    return PLACEHOLDER.sub("x1", message.text)


@pytest.mark.parametrize(
    "text",
    [
        DRIVER,
        DRIVER.upper(),
        f"RuntimeError: {DRIVER}",
        f"E       RuntimeError: {DRIVER}",
        f"[rank0]: RuntimeError: {DRIVER}",
        f"\x1b[31mRuntimeError\x1b[0m: \x1b[1m{DRIVER}\x1b[0m",
        f"2026-11-02 10:21:40,112 ERROR worker {DRIVER}",
        f"> RuntimeError: {DRIVER}",
        f"trainer-1  | RuntimeError: {DRIVER}",
        f"(EngineCore pid=4711) ERROR 11-02 10:21:40 [core.py:586] RuntimeError: {DRIVER}",
        re.sub(r"(.{79})", r"\1\n", DRIVER),
        re.sub(r"(.{40})", r"\1\n", f"RuntimeError: {DRIVER}"),
        "\n".join(f"[rank3]: {part}" for part in re.findall(r".{1,60}", DRIVER)),
        "\n".join(f"    {part}" for part in re.findall(r".{1,70}", DRIVER)),
        "\n".join(f"Nov  2 10:21:40 node1 python[4711]: {part}" for part in re.findall(r".{1,90}", DRIVER)),
        DRIVER.replace(" ", "\u00a0"),
        '{"level": "error", "message": "' + DRIVER + '"}',
        "line one\\nline two\\nRuntimeError: " + DRIVER.replace(" Please", "\\nPlease") + "\\nthe end\\n",
        f"a\r\nRuntimeError: {DRIVER}\r\nb\r\n",
    ],
)  # fmt: skip
def test_a_message_is_found_in_every_dress(text: str) -> None:
    assert primary(text) == "driver-too-old"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_in_any_encoding_that_shells_write(encoding: str) -> None:
    assert "driver-too-old" in found(f"some log\nRuntimeError: {DRIVER}\n".encode(encoding))


def test_the_text_is_shown_as_it_stood_there() -> None:
    text = f"first\n[rank0]: RuntimeError: {DRIVER}\nlast"
    match = next(m for m in scan(io.BytesIO(text.encode()), SIGNATURES).matches if m.code == "driver-too-old")
    assert match.line_number == 2
    assert match.line == f"RuntimeError: {DRIVER}"
    assert match.values["cuda"] == "11040"


def test_values_keep_their_spaces_and_capitals() -> None:
    signature = compile_message("x", Message("Found GPU{n}: {name} which is of cuda capability {capability}", "torch"))
    page = Page(["Found GPU0: GeForce GTX 670M which is of cuda capability 2.1"])
    (_, _, values), *_ = signature.places(page, 0)
    assert values == {"n": "0", "name": "GeForce GTX 670M"}


def test_a_placeholder_stands_for_something_short_only() -> None:
    signature = compile_message("x", Message("driver {version} is too old for this program", "nobody"))
    assert found("driver 470.82 is too old for this program", signature)
    assert found("driver 470.82\n   is too old for this program", signature)
    assert not found("driver " + "x" * 2000 + " is too old for this program", signature)
    assert not found("is too old for this program: driver 470.82", signature)


def test_every_message_says_where_it_comes_from_and_can_be_found() -> None:
    for d in all_diagnoses():
        texts = [(message.text, message.when) for message in d.messages]
        assert len(texts) == len(set(texts)), d.code
        for message in d.messages:
            assert len(message.source) >= 3 and 0.15 <= message.weight <= 1, message
            assert compile_message(d.code, message)


def test_every_diagnosis_has_messages() -> None:
    without = {d.code for d in all_diagnoses() if not d.messages}
    assert without == {"torch-failure-unexplained"}


@pytest.mark.parametrize("code", [d.code for d in all_diagnoses() if d.messages])
def test_each_wording_names_its_diagnosis_or_one_of_its_look_alikes(code: str) -> None:
    own = next(d for d in all_diagnoses() if d.code == code)
    for message in own.messages:
        if message.when is None:
            named = codes(filled(message))
            assert code in named, (message.text, named)
            if message.weight >= 0.9:
                assert code in named[:3], (message.text, named)


@pytest.mark.parametrize("code", sorted({s.code for s in SIGNATURES}))
def test_near_misses_cost_linear_time(code: str) -> None:
    """Each signature against a long text of its own beginnings, which never come to an end."""
    for signature in (s for s in SIGNATURES if s.code == code):
        text = filled(signature.message)
        half = text[: len(text) * 2 // 3]
        small, large = Page([half * 200]), Page([half] * 6000)
        for page in (small, large):
            spent = _seconds(signature, page)
            # Half a microsecond a character is a hundred times what it takes, and nothing to what backtracking would.
            assert spent < 0.2 + 5e-7 * len(page.text) * 10, (signature.message.text, spent, len(page.text))


def _seconds(signature: Signature, page: Page) -> float:
    started = time.process_time()
    for place, _ in enumerate(signature.places(page, 0)):
        if place > 100:
            break
    return time.process_time() - started


@pytest.mark.parametrize(
    "line",
    ["[" * 100_000, "\x1b[" * 50_000, "> " * 50_000, "a" * 300_000, "2026-11-02 10:21:40 " * 20_000, "|" * 100_000,
     "undefined symbol: " * 20_000, "File \"" * 50_000, "(" * 100_000, "NVRM: " * 50_000],
)  # fmt: skip
def test_hostile_lines_cost_linear_time(line: str) -> None:
    started = time.process_time()
    cleaned(line)
    found(line)
    judged(line)
    assert time.process_time() - started < 5


def test_a_long_log_is_counted_and_its_first_place_named() -> None:
    noise = "\n".join(f"step {i} loss {1 / (i + 1):.4f}" for i in range(20_000))
    error = "RuntimeError: CUDA error: uncorrectable ECC error encountered"
    text = f"{noise}\n{error}\n{noise}\n{error}\n{error}\n{noise}\n"
    assert len(text) > 4 * BLOCK
    match = next(m for m in scan(io.BytesIO(text.encode()), SIGNATURES).matches if m.message.weight == 1.0)
    assert (match.code, match.line_number, match.count) == ("gpu-hw-fault", 20_001, 3)
    assert match.last_line_number == 40_003


def test_a_message_across_the_border_of_two_blocks_is_found() -> None:
    for shift in range(0, 200, 7):
        text = (
            "y" * 50
            + "\n"
            + ("x" * 62 + "\n") * ((BLOCK - 51) // 63 - 1)
            + "z" * shift
            + "\n"
            + DRIVER.replace(". ", ".\n")
            + "\n"
        )
        assert "driver-too-old" in found(text + ("w" * 62 + "\n") * 4000), shift


def test_memory_stays_bounded_on_a_line_without_end() -> None:
    class Endless(io.RawIOBase):
        left = 40 << 20

        def read(self, size: int = -1) -> bytes:
            size = min(size, self.left)
            self.left -= size
            return b"x" * size

    result = scan(Endless(), SIGNATURES)  # type: ignore[arg-type]
    assert result.size == 40 << 20 and len(result.excerpt) < 4 << 20
