"""What people and scripts see of a verdict."""

from __future__ import annotations

import io
import json
from xml.etree import ElementTree

import pytest

from envdoctor.console import Console
from envdoctor.diagnosis.model import Diagnosed
from envdoctor.facts.model import ProbeReport, Snapshot
from envdoctor.facts.sections.gpu import CudaDriver, Nvml
from envdoctor.facts.sections.interpreter import Interpreter, TorchDevice, TorchRun
from envdoctor.report.check.data import to_json
from envdoctor.report.check.headline import headline
from envdoctor.report.check.markdown import to_github, to_junit, to_markdown
from envdoctor.report.check.text import print_report
from tests.diagnosis.snapshots import FLAGS_2_15, gpu, interpreter, judge, machine, nvml, torch

VOLTA = machine(
    nvml=nvml(gpu("Tesla V100-SXM2-32GB", "7.0", memory_total=34359738368)),
    interpreter=interpreter(torch(flags=FLAGS_2_15)),
)


def text(snapshot: Snapshot, diagnosed: Diagnosed | None = None, *, width: int = 80, encoding: str = "utf-8") -> str:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    print_report(Console(file=file, width=width, highlight=False), snapshot, diagnosed or judge(snapshot))
    file.seek(0)
    return file.read()


def test_the_report_leads_with_the_verdict_and_ends_with_the_commands() -> None:
    lines = text(VOLTA).splitlines()
    assert lines[0].startswith("✗ This torch build no longer has code for so old a GPU")
    assert any("Tesla V100-SXM2-32GB (7.0, 32.0 GiB)" in line for line in lines)
    assert any("torch==2.14.1" in line for line in lines)


def test_nothing_but_commands_is_wider_than_the_terminal() -> None:
    for line in text(VOLTA).splitlines():
        assert len(line) <= 80 or line.startswith("     "), line


def test_commands_come_out_in_one_piece_however_narrow_the_terminal() -> None:
    assert any(
        "-m pip install torch==2.14.1" in line and line.rstrip().endswith("/whl/cu126")
        for line in text(VOLTA, width=40).splitlines()
    )


def test_a_terminal_without_unicode_gets_words_instead_of_symbols() -> None:
    assert text(VOLTA, encoding="latin-1").startswith("error: This torch build")


def test_markup_in_a_machines_names_is_not_interpreted() -> None:
    odd = machine(interpreter=Interpreter(executable="/opt/[red]py[/red]", torch_installed=False))
    assert "/opt/[red]py[/red]" in text(odd)


def test_a_fact_that_makes_no_sense_is_told_and_the_rest_is_judged() -> None:
    odd = machine(
        environment={"CUDA_VISIBLE_DEVICES": "-1"},
        cuda_driver=CudaDriver(outcome="ok", init_code=100, device_count=0),
        interpreter=interpreter(torch("2.15.0", "cp.u", flags=FLAGS_2_15)),
    )
    said = " ".join(text(odd).split())
    assert "Not judged" in said and "'cp.u' is not a version number" in said
    assert "visible-devices-hidden" in said


def test_a_probe_that_failed_is_told() -> None:
    broken = machine(probes=(ProbeReport(name="nvml", outcome="timeout", error="no answer within 45 s"),))
    assert "nvml (no answer within 45 s)" in text(broken)


@pytest.mark.parametrize(
    ("snapshot", "words"),
    [
        (machine(), "reaches the GPU"),
        (
            machine(
                interpreter=interpreter(
                    torch(
                        run=TorchRun(
                            outcome="ok",
                            cuda_available=True,
                            computation="ok",
                            devices=(TorchDevice(index=0, name="NVIDIA X"),),
                        )
                    )
                )
            ),
            "computes on NVIDIA X",
        ),
        (
            machine(
                pci=(),
                nvml=Nvml(status="LIBRARY_NOT_FOUND"),
                driver=None,
                cuda_driver=None,
                interpreter=interpreter(torch("2.13.0+cpu", None)),
            ),
            "CPU only",
        ),
        (machine(interpreter=interpreter(torch("2.9.0", "12.8", run=None))), "was not imported"),
    ],
)
def test_a_healthy_machine_is_said_to_be_healthy_only_as_far_as_it_was_seen(snapshot: Snapshot, words: str) -> None:
    said = headline(snapshot, judge(snapshot))
    assert said.tone == "good" and words in said.text


def test_where_nothing_is_known_nothing_is_called_healthy() -> None:
    said = headline(Snapshot(), judge(Snapshot()))
    assert said.tone == "unknown" and "which torch is installed" in said.text


def test_json_has_every_key_of_the_contract() -> None:
    data = json.loads(to_json(VOLTA, judge(VOLTA)))
    assert data["schema"] == "envdoctor.report/1"
    assert data["ok"] is False and data["primary"] == "gpu-arch-too-old-for-torch"
    found = data["findings"][0]
    keys = {
        "code",
        "severity",
        "title",
        "summary",
        "evidence",
        "fixes",
        "confidence",
        "consequence_of",
        "file",
        "line",
        "rule",
        "quote",
    }
    assert set(found) == keys
    assert set(found["evidence"][0]) == {"fact", "value"}
    assert {"title", "commands", "needs_root", "needs_reboot"} <= set(found["fixes"][0])
    assert found["severity"] == "error" and found["consequence_of"] is None
    assert data["snapshot"]["schema"] == "envdoctor.snapshot/1"


def test_json_of_a_healthy_machine_says_so() -> None:
    data = json.loads(to_json(machine(), judge(machine())))
    assert data["ok"] is True and data["primary"] is None and data["findings"] == []


def test_markdown_keeps_commands_in_a_fence_and_names_in_cells() -> None:
    said = to_markdown(VOLTA, judge(VOLTA))
    assert "```sh\n" in said and "| GPU | `Tesla V100-SXM2-32GB (7.0, 32.0 GiB)` |" in said


def test_github_annotations_are_one_line_each() -> None:
    said = to_github(VOLTA, judge(VOLTA))
    assert said.startswith("::error title=gpu-arch-too-old-for-torch::") and "\n" not in said


def test_junit_is_xml_with_a_failure_for_an_error() -> None:
    suite = ElementTree.fromstring(to_junit(VOLTA, judge(VOLTA)))
    failed = [case.get("name") for case in suite if case.find("failure") is not None]
    assert failed == ["gpu-arch-too-old-for-torch"] and suite.get("failures") == "1"
    assert int(suite.get("tests") or 0) == len(suite)
