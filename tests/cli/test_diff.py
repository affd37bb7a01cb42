"""`envdoctor diff` as a person or a script meets it."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.gpu import CudaDriver
from envdoctor.facts.sections.interpreter import TorchRun
from tests.cli.test_errors import assert_one_clear_line, run
from tests.diagnosis.snapshots import FLAGS_2_15, gpu, interpreter, machine, module, nvml, torch
from tests.diagnosis.snapshots import UBUNTU as HOST
from tests.reading.dumps import samples

WORKS = machine()
BROKEN = machine(
    driver=module("535.183.01", flavour="open"),
    nvml=nvml(gpu(memory_total=8 << 30), driver="535.183.01"),
    environment={"LD_LIBRARY_PATH": "/usr/local/cuda-12.4/lib64:" + "/opt/a/very/long/folder/name:" * 4},
    cuda_driver=CudaDriver(outcome="ok", init_code=0, version="12.2", device_count=1),
    interpreter=interpreter(torch(flags=FLAGS_2_15, run=TorchRun(outcome="ok", cuda_available=False))),
)


def write(folder: Path, name: str, snapshot: Snapshot) -> Path:
    path = folder / name
    path.write_bytes(msgspec.json.encode(snapshot))
    return path


@pytest.fixture
def works(tmp_path: Path) -> Path:
    return write(tmp_path, "works.json", WORKS)


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    return write(tmp_path, "broken.json", BROKEN)


def test_findings_come_before_facts_and_telling_facts_before_soft_ones(works: Path, broken: Path) -> None:
    code, text, stderr = run("diff", works, broken, NO_COLOR="1", COLUMNS="80")
    assert code == 1 and stderr == ""
    places = [text.index(words) for words in ("Only B has", "driver-too-old", "What can decide", "driver.version")]
    assert places == sorted(places)
    assert "580.159.04" in text and "535.183.01" in text and "\x1b" not in text
    assert "gpu.0.memory_total" in text[text.index("not known of A") :]


def test_every_line_fits_the_terminal(works: Path, broken: Path) -> None:
    for width in (80, 60):
        _, text, _ = run("diff", works, broken, NO_COLOR="1", COLUMNS=str(width))
        # The files' paths stay whole, however long they are.
        lines = [line for line in text.splitlines() if str(works.parent) not in line]
        assert max(map(len, lines)) <= width
        assert not [line for line in text.splitlines() if line != line.rstrip()]


def test_equal_machines_end_with_0(works: Path) -> None:
    code, text, _ = run("diff", works, works)
    assert code == 0 and "Nothing differs." in text


def test_what_rarely_matters_is_told_and_ends_with_0(works: Path, tmp_path: Path) -> None:
    slower = write(tmp_path, "slower.json", machine(host=msgspec.structs.replace(HOST, cpu_count=8)))
    faster = write(tmp_path, "faster.json", machine(host=msgspec.structs.replace(HOST, cpu_count=64)))
    code, text, _ = run("diff", slower, faster)
    assert code == 0 and "host.cpu_count" in text and "Nothing telling differs." in text


def test_json_has_every_key_of_the_contract(works: Path, broken: Path) -> None:
    code, text, _ = run("diff", works, broken, "--format", "json")
    data = json.loads(text)
    assert code == 1 and set(data) == {"schema", "findings", "differences"}
    assert data["schema"] == "envdoctor.diff/1"
    assert data["findings"]["only_a"] == [] and "driver-too-old" in data["findings"]["only_b"]
    assert data["differences"][0] == {
        "fact": "driver.version", "a": "580.159.04", "b": "535.183.01", "weight": "decisive",
    }  # fmt: skip
    unknown = next(d for d in data["differences"] if d["fact"] == "gpu.0.memory_total")
    assert unknown["a"] is None and unknown["weight"] == "minor"
    variable = next(d for d in data["differences"] if d["fact"] == "environment.LD_LIBRARY_PATH")
    assert variable["a"] is False


def test_markdown_keeps_a_machines_text_in_its_cell(works: Path, tmp_path: Path) -> None:
    odd = machine(environment={"CUDA_HOME": "/a|b`c"}, interpreter=interpreter(torch("2.15.0+cu132", flags=FLAGS_2_15)))
    _, text, _ = run("diff", works, write(tmp_path, "odd.json", odd), "--format", "markdown")
    assert "| `environment.CUDA_HOME` | `not set` | `/a\\|b'c` |" in text


def test_a_report_a_dump_and_standard_input_are_read(works: Path, tmp_path: Path) -> None:
    _, report, _ = run("check", "--from", works, "--format", "json")
    (tmp_path / "report.json").write_text(report)
    assert run("diff", works, tmp_path / "report.json")[0] == 0
    dump = tmp_path / "dump.txt"
    dump.write_text(samples.NEW)
    code, text, _ = run("diff", "-", dump, stdin=works.read_bytes(), NO_COLOR="1")
    assert code == 1 and "standard input" in text and "NVIDIA L40S" in text
    assert "not known of B" in text


def test_no_b_is_this_machine(works: Path) -> None:
    code, text, _ = run("diff", works, "--fast", "--format", "json")
    assert code == 1 and json.loads(text)["schema"] == "envdoctor.diff/1"
    _, swapped, _ = run("diff", "live", works, "--fast", "--format", "json")
    there = {(d["fact"], str(d["a"]), str(d["b"])) for d in json.loads(text)["differences"]}
    assert there == {(d["fact"], str(d["b"]), str(d["a"])) for d in json.loads(swapped)["differences"]}


def test_this_machine_does_not_differ_from_its_own_snapshot(tmp_path: Path) -> None:
    here = tmp_path / "here.json"
    assert run("snapshot", "--fast", "-o", here)[0] == 0
    code, text, _ = run("diff", here, "--fast")
    assert code == 0, text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), []),
        (("-", "-"), ["standard input"]),
        (("live", "live"), ["both"]),
        (("live",), ["both"]),
        (("/no/such.json", "live"), ["/no/such.json"]),
        (("live", "x.json", "--python", "/no/such/python"), ["/no/such/python"]),
        (("a.json", "b.json", "--python", "python3"), ["--python"]),
    ],
)
def test_wrong_usage_is_one_line(arguments: tuple[str, ...], words: list[str]) -> None:
    assert_one_clear_line(run("diff", *arguments), *words)


def test_unreadable_input_is_named(works: Path, tmp_path: Path) -> None:
    prose = tmp_path / "prose.txt"
    prose.write_text("the quick brown fox\n")
    assert_one_clear_line(run("diff", works, prose), "prose.txt", "nothing is recognised")
    assert_one_clear_line(run("diff", works, "-", stdin=b"{"), "standard input")
