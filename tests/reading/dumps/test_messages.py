"""The lines around a dump: kept for the diagnosis of errors, and bounded."""

from __future__ import annotations

import time

from envdoctor.reading.dumps import read
from tests.reading.dumps import samples

ERROR = "RuntimeError: CUDA error: device-side assert triggered"


def test_errors_are_kept_before_prose_and_in_the_order_of_the_text() -> None:
    prose = "\n".join(f"line {number} of a long story" for number in range(1000))
    snapshot = read(f"{prose}\n{ERROR}\n{samples.OLD}\nlibcudart.so.11.0: cannot open shared object file\n")
    assert len(snapshot.messages) == 200
    assert snapshot.messages[0] == "line 0 of a long story"
    assert snapshot.messages[-2:] == (ERROR, "libcudart.so.11.0: cannot open shared object file")


def test_of_too_many_errors_the_first_and_the_last_are_kept() -> None:
    errors = "\n".join(f"error number {number}" for number in range(5000))
    messages = read(errors + "\n" + samples.OLD).messages
    assert len(messages) == 200
    assert (messages[0], messages[99], messages[100], messages[-1]) == (
        "error number 0",
        "error number 99",
        "error number 4900",
        "error number 4999",
    )


def test_they_are_bounded_in_characters() -> None:
    text = "\n".join(f"error {number} " + "x" * 5000 for number in range(500))
    messages = read(text + "\n" + samples.OLD).messages
    assert 0 < sum(len(message) for message in messages) <= 20_000


def test_a_long_log_is_read_in_seconds() -> None:
    lines = [
        f"2024-05-01 12:00:{n % 60:02d},{n % 1000:03d} INFO step={n} loss={n / 7:.4f} lr=0.0001" for n in range(1000)
    ]
    block = "\n".join(lines)
    text = f"{block}\n" * 180 + samples.NEW + f"\n{block}\n" * 180 + ERROR
    assert len(text) > 20_000_000
    began = time.monotonic()
    snapshot = read(text)
    assert time.monotonic() - began < 20
    assert snapshot.torch == read(samples.NEW).torch
    assert snapshot.gpus == read(samples.NEW).gpus
    assert snapshot.messages[-1] == ERROR


def test_lines_made_to_be_slow_are_not() -> None:
    began = time.monotonic()
    for line in (
        "GPU 0: " + " " * 15_000 + "x",
        "| 0  " + "a " * 3000 + "| 00000000:01:00.0 Off | 0 |",
        "a" * 15_000 + "@",
        "(" * 15_000,
        "." * 15_000,
        " ." * 7_000,
        "torch==" + "1." * 7_000,
        "PyTorch version: " * 800,
        "LD_LIBRARY_PATH=" + ":" * 15_000,
        "Warning: " * 1_500 + "with CUDA capability sm_",
        "<p " * 5_000,
        "&amp;" * 3_000,
        "\x1b[" * 7_000,
        "> " * 7_000,
    ):
        read(samples.OLD + f"{line}\n" * 300)
    assert time.monotonic() - began < 60


def test_prose_behind_a_table_is_prose() -> None:
    text = samples.SGLANG.replace("CUDA_HOME: /usr/local/cuda\n", "")
    text += "\nSo I tried\nthis and that\nfor a while, but\nCUDA_HOME is not set to /x\n"
    snapshot = read(text)
    assert snapshot.toolkit is not None
    assert snapshot.toolkit.cuda_home is None
    assert "CUDA_HOME is not set to /x" in snapshot.messages
