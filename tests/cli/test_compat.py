"""`envdoctor compat` as a person and as a script use it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest

from envdoctor.cli import run
from envdoctor.knowledge import load


class Ran:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def compat(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("COLUMNS", "80")

    def ask(*words: str) -> Ran:
        code = run(["compat", *words])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return ask


def test_a_gpu_alone_shows_its_sheet_and_the_command(compat: Any) -> None:
    ran = compat("gpu", "RTX 5090")
    assert ran.code == 0
    assert "Compute capability   12.0" in ran.out
    newest = load().torch_releases()[0]
    assert re.search(rf"{re.escape(newest.version)}\+cu\d+, driver \d+ or newer", ran.out)
    assert f"pip install torch=={newest.version} torchvision=={newest.torchvision}" in ran.out
    assert ran.err == ""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("torch", "2.6"), "cu124 (PyPI)"),
        (("driver", "535.183"), "R535"),
        (("cuda", "12.8"), "525.60.13 or newer"),
        (("python", "3.13"), f"2.5.0 to {load().torch_releases()[0].version}"),
        (("glibc", "2.17"), "2.6.0+cu124"),
        (("gpu", "8.6"), "Ampere"),
        (("torch", "2.15", "windows"), "Unconfirmed"),
        (("torch", "2.15", "macos"), "MPS"),
    ],
)
def test_each_subject_alone_has_a_sheet(compat: Any, words: tuple[str, ...], expected: str) -> None:
    ran = compat(*words)
    assert ran.code == 0
    assert expected in ran.out


def test_a_sentence_is_answered_no_with_reasons_and_the_nearest_that_works(compat: Any) -> None:
    ran = compat("does torch 2.15 run on a V100 with driver 570?")
    assert ran.code == 1
    assert "✗ No, for 2 reasons." in ran.out
    assert "V100 is 7.0 (Volta), which CUDA dropped after 12.9." in ran.out
    assert "needs driver 580 or newer" in ran.out
    assert "torchvision==0.29.1 --index-url https://download.pytorch.org/whl/cu126" in ran.out


@pytest.mark.parametrize(
    "words",
    [
        ("torch", "2.14", "gpu", "V100", "driver", "570"),
        ("--torch", "2.14", "--gpu", "V100", "--driver", "570"),
        ("torch 2.14", "--gpu", "V100", "--driver", "570.86.15"),
        ("can a V100 run torch 2.14 with driver 570",),
        ("torch==2.14.1+cu126", "on V100", "with R570"),
        ("torch >=2.5 <2.15 V100 driver 570 ubuntu 22.04",),
    ],
)
def test_pairs_options_and_sentences_ask_the_same(compat: Any, words: tuple[str, ...]) -> None:
    ran = compat(*words)
    assert ran.code == 0
    assert ran.out.startswith("✓ Yes: torch 2.14.1+cu126.")


def test_json_has_the_schema_the_reasons_and_the_sources(compat: Any) -> None:
    ran = compat("torch 2.15 V100 driver 570", "--format", "json")
    document = json.loads(ran.out)
    assert ran.code == 1
    assert document["schema"] == "envdoctor.compat/1"
    assert document["question"] == {"gpus": ["V100"], "torch": "2.15", "driver": "570"}
    assert document["answer"] == "no"
    assert {reason["verdict"] for reason in document["reasons"]} == {"yes", "no"}
    assert all(reason["sources"] for reason in document["reasons"])
    assert document["nearest"][0]["pip"][-1] == "https://download.pytorch.org/whl/cu126"
    assert document["sources"]
    assert document["newer_than_table"] == []


def test_a_yes_carries_the_build_and_its_pip_arguments_in_json(compat: Any) -> None:
    document = json.loads(compat("4090 driver 535.183.01", "--format", "json").out)
    assert document["answer"] == "yes"
    assert document["build"]["torch"] == "2.14.1"
    assert document["build"]["pip"][:2] == ["torch==2.14.1", "torchvision==0.29.1"]


def test_sources_are_numbered_where_asked_for(compat: Any) -> None:
    plain, sourced = compat("V100 torch 2.15"), compat("V100 torch 2.15", "--sources")
    assert "Sources" not in plain.out
    assert "[1]" in sourced.out
    assert "  [1] " in sourced.out.partition("Sources")[2]
    assert "torch-2.15.0-cp311-cp311-manylinux_2_28_x86_64.whl" in sourced.out


@pytest.mark.parametrize(
    "words", [("torch", "4.0"), ("driver", "640"), ("cuda", "14"), ("python", "3.17"), ("cuda", "13.9")]
)
def test_a_version_newer_than_the_table_is_answered_and_said_to_be_newer(compat: Any, words: tuple[str, ...]) -> None:
    ran = compat(*words)
    assert ran.code == 0
    assert "Newer than the table of 20" in ran.out
    assert ran.err == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("gpu", "RTX 4909"), "Did you mean 'NVIDIA GeForce RTX 4090'"),
        (("gpu", "RTX 6000"), "can mean 'Quadro RTX 6000'"),
        (("torch",), "'torch' needs a version after it"),
        ((), "ask about a GPU, torch, driver, CUDA or Python"),
        (("--torch", "newest"), "write it as ==2.6.* or >=2.4"),
        (("--driver", "latest"), "'latest' is not a version number"),
        (("--python", "three"), "write it as 3.12"),
        (("torch 2.6", "--torch", "2.7"), "asked about twice"),
        (("torch 2.6 torch 2.7",), "torch is asked about twice"),
        (("cuda 12.8 cuda 11.8",), "cuda is asked about twice"),
        (("driver", "abc"), "'abc' is not a version: write 'driver 535.183'"),
        (("python", "3"), "'3' is not a version: write 'python 3.13'"),
        (("--torch", ""), "torch is empty"),
        (("torch 2.6", "--platform", "amiga"), "'amiga' is not a platform"),
    ],
)
def test_what_is_not_understood_is_one_clear_line_and_exit_code_2(
    compat: Any, words: tuple[str, ...], message: str
) -> None:
    ran = compat(*words)
    assert ran.code == 2
    assert message in ran.err
    assert len(ran.err.strip().splitlines()) == 1
    assert ran.out == ""


@pytest.mark.parametrize(
    "words", [("gpu", "RTX 5090"), ("torch", "2.15"), ("driver", "580"), ("V100 torch 2.15 driver 570", "--sources")]
)
def test_text_fits_eighty_columns_but_for_what_must_stay_whole(compat: Any, words: tuple[str, ...]) -> None:
    for line in compat(*words).out.splitlines():
        # A command, and an address that is longer than a line, stay whole.
        assert len(line) <= 80 or "pip install" in line or " " not in line.strip(), line
        assert line == line.rstrip()


def envdoctor(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from envdoctor.cli import main; main()", "compat", *words],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
        check=False,
    )


def test_a_pipe_gets_no_escape_codes() -> None:
    done = envdoctor("4090 driver 535")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout


def test_a_terminal_that_knows_only_ascii_is_served() -> None:
    done = envdoctor("does torch 2.15 run on a V100?", PYTHONIOENCODING="ascii", LANG="C", LC_ALL="C")
    assert done.returncode == 1
    assert done.stderr == ""
    assert done.stdout.startswith("No: torch 2.15.0+cu132 has code for sm_75")
    assert done.stdout.isascii()
