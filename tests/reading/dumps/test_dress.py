"""The same dump in whatever dress a mail, a forum or a terminal gives it says the same."""

from __future__ import annotations

import html
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from envdoctor.facts.model import Snapshot
from envdoctor.reading.dumps import read
from tests.reading.dumps import samples


def each_line(text: str, form: str) -> str:
    return "\n".join(form.format(line) if line else line for line in text.splitlines())


DRESS: dict[str, Callable[[str], str]] = {
    "mail quoting": lambda t: each_line(t, "> {}"),
    "double mail quoting": lambda t: each_line(t, "> > {}"),
    "quoting without spaces": lambda t: each_line(t, ">{}"),
    "fence": lambda t: f"```\n{t}```\n",
    "fence that ends on the last line": lambda t: f"```\n{t.rstrip()}```",
    "fence with a language": lambda t: f"```text\n{t}```",
    "indentation": lambda t: each_line(t, "    {}"),
    "carriage returns": lambda t: t.replace("\n", "\r\n"),
    "old Mac line ends": lambda t: t.replace("\n", "\r"),
    "trailing blanks": lambda t: each_line(t, "{}    "),
    "HTML": lambda t: "<details><summary>env</summary><pre>" + html.escape(t) + "</pre></details>",
    "HTML line breaks": lambda t: t.replace("\n", "<br/>\n"),
    "colours": lambda t: each_line(t, "\x1b[1;32m{}\x1b[0m"),
    "non-breaking spaces": lambda t: t.replace(" ", "\u00a0"),
    "byte-order mark": lambda t: "\ufeff" + t,
    "zero-width spaces": lambda t: each_line(t, "\u200b{}"),
    "blank lines between": lambda t: t.replace("\n", "\n\n"),
    "escaped newlines": lambda t: t.replace("\n", "\\n"),
}


def facts(text: str | bytes) -> Snapshot:
    return replace(read(text), messages=(), source=None)


@pytest.mark.parametrize("dress", DRESS)
@pytest.mark.parametrize("name", samples.LAYOUTS)
def test_a_dump_says_the_same_in_any_dress(name: str, dress: str) -> None:
    plain = samples.LAYOUTS[name]
    assert facts(DRESS[dress](plain)) == facts(plain)


@pytest.mark.parametrize("name", ["old", "new", "windows", "macos", "rocm"])
def test_bullets_before_every_line_change_nothing(name: str) -> None:
    plain = samples.LAYOUTS[name]
    assert facts(each_line(plain, "- {}")) == facts(plain)
    assert facts(each_line(plain, "* {}")) == facts(plain)


def test_a_dump_that_lost_its_line_breaks_is_read() -> None:
    snapshot = read("Here it is: " + " ".join(samples.OLD.split()))
    assert snapshot.torch is not None
    assert (snapshot.torch.version, snapshot.torch.cuda) == ("1.4.0", "10.1")
    assert snapshot.driver_version == "410.79"
    assert snapshot.gpus is not None
    assert [gpu.name for gpu in snapshot.gpus] == ["GeForce GTX 1080 Ti", "GeForce GTX 1080 Ti"]
    assert snapshot.interpreter is not None
    assert snapshot.interpreter.version == "3.7"


def test_a_table_that_lost_its_columns_is_read() -> None:
    squeezed = "\n".join(" ".join(line.split()) for line in samples.DETECTRON2.splitlines())
    snapshot = read(squeezed)
    assert snapshot.torch == read(samples.DETECTRON2).torch
    assert snapshot.interpreter is not None
    assert snapshot.interpreter.extension_builds == read(samples.DETECTRON2).interpreter.extension_builds  # type: ignore[union-attr]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_files_in_any_usual_encoding_are_read(encoding: str) -> None:
    assert facts(samples.NEW.encode(encoding)) == facts(samples.NEW)


def test_windows_text_in_its_code_page_is_read() -> None:
    text = samples.WINDOWS.replace("Windows 11 Pro", "Windows 11 Professionnel \u00e9dition")
    snapshot = read(text.encode("cp1252"))
    assert snapshot.host is not None
    assert snapshot.host.os_name == "Windows 11 Professionnel \u00e9dition"


def test_utf16_that_was_decoded_wrongly_is_read() -> None:
    assert facts("".join(character + "\0" for character in samples.OLD)) == facts(samples.OLD)


def test_words_around_a_dump_become_messages_and_nothing_else() -> None:
    text = f"""\
Hello, training fails since the update:

Traceback (most recent call last):
  File "train.py", line 3, in <module>
    model.cuda()
RuntimeError: CUDA error: no kernel image is available for execution on the device

My machine:
{samples.NEW}
Thanks!
"""
    snapshot = read(text)
    assert facts(text) == facts(samples.NEW)
    assert snapshot.messages == (
        "Hello, training fails since the update:",
        "Traceback (most recent call last):",
        '  File "train.py", line 3, in <module>',
        "    model.cuda()",
        "RuntimeError: CUDA error: no kernel image is available for execution on the device",
        "My machine:",
        "Thanks!",
    )


@pytest.mark.parametrize(
    "prefix",
    [
        "worker-1  | ",
        "2024-05-01T12:00:{n:02d}.{n:03d}Z ",
        "[rank0]: ",
        "(Worker pid={n}) INFO 05-01 12:00:{n:02d} env.py:7] ",
    ],
)
@pytest.mark.parametrize("name", ["old", "new", "windows", "vllm", "detectron2", "mmcv"])
def test_what_a_log_puts_before_every_line_changes_nothing(name: str, prefix: str) -> None:
    plain = samples.LAYOUTS[name]
    logged = "\n".join(prefix.format(n=n % 60) + line for n, line in enumerate(plain.splitlines()))
    before = prefix.format(n=9) + "starting\n"
    assert facts(before + logged) == facts(plain)


def test_full_width_digits_are_digits() -> None:
    text = samples.OLD.replace("410.79", "\uff14\uff11\uff10.\uff17\uff19").replace("GPU 1:", "GPU \u0661:")
    assert facts(text) == facts(samples.OLD)


def test_what_only_looks_like_a_digit_is_none() -> None:
    gpus = read(samples.OLD.replace("GPU 1:", "GPU \u2460:").replace("410.79", "41\u00b2.79")).gpus
    assert gpus is not None
    assert len(gpus) == 1
