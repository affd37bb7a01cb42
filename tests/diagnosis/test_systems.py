"""Repairs for Windows and macOS hold nothing that only Linux has, and every cause still has one."""

from __future__ import annotations

import re

import pytest

from envdoctor.diagnosis.catalogue import all_diagnoses
from envdoctor.diagnosis.judging import judge_machine
from envdoctor.diagnosis.model import Diagnosis, Finding, Fix, Layer, Severity
from envdoctor.diagnosis.repairs.system import for_system
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.host import Host
from envdoctor.knowledge import load
from tests.diagnosis.texts import judged

LINUX = re.compile(
    r"\b(?:sudo (?:apt|dnf|modprobe|systemctl|rmmod)|modprobe|dmesg|ldconfig|lspci|mokutil|dkms)\b|LD_LIBRARY_PATH"
    r"|/etc/|/proc/|/dev/"
)
UNIX = re.compile(r"^\s*(?:sudo|export|unset)\b|\$\(|\bgrep\b|~/\.")
# A message of each cause, without a condition and without placeholders, the surest first.
SAID = {
    diagnosis.code: words[0].text
    for diagnosis in all_diagnoses()
    if (
        words := sorted(
            (m for m in diagnosis.messages if m.when is None and "{" not in m.text and m.weight >= 0.7),
            key=lambda m: -m.weight,
        )
    )
}


@pytest.mark.parametrize("code", SAID)
@pytest.mark.parametrize("system", ["Windows 11", "macOS 15"])
def test_no_command_is_of_another_system(system: str, code: str) -> None:
    found = next((f for f in judged(f"{system}, my notes:\n{SAID[code]}\n").findings if f.code == code), None)
    if found is None:  # a cause that this system cannot have
        return
    assert found.fixes
    for fix in found.fixes:
        for command in fix.commands:
            assert not LINUX.search(command), (fix.title, command)
            if system.startswith("Windows"):
                assert not UNIX.search(command), (fix.title, command)


def test_most_causes_are_asked_for() -> None:
    assert len(SAID) > len(all_diagnoses()) * 0.8


@pytest.mark.parametrize(
    ("command", "lines"),
    [
        ("export A=1 B=two", ("set A=1", "set B=two")),
        ('export TORCH_CUDA_ARCH_LIST="8.9;12.0"', ("set TORCH_CUDA_ARCH_LIST=8.9;12.0",)),
        ("unset CUDA_VISIBLE_DEVICES", ("set CUDA_VISIBLE_DEVICES=",)),
        ("sudo nvidia-smi -c DEFAULT   # as before", ("# as before", "nvidia-smi -c DEFAULT")),
        ("sudo reboot", ("shutdown /r /t 0",)),
        ("python -m pip install torch", ("python -m pip install torch",)),
    ],
)
def test_what_a_unix_shell_is_told_is_said_to_cmd(command: str, lines: tuple[str, ...]) -> None:
    windows = Snapshot(host=Host(system="Windows"))
    (fix,) = for_system([Fix(title="x", commands=(command,))], windows)
    assert fix.commands == lines
    (same,) = for_system([Fix(title="x", commands=(command,))], Snapshot(host=Host(system="Linux")))
    assert same.commands == (command,)


def test_what_is_found_on_a_live_machine_is_translated_as_well() -> None:
    fix = Fix(title="Show CUDA all GPUs", commands=("unset CUDA_VISIBLE_DEVICES",))
    cause = Diagnosis(
        code="one",
        layer=Layer.GPU,
        severity=Severity.ERROR,
        title="One",
        page="",
        follows_from=(),
        check=lambda *_: Finding(summary="x", fixes=(fix,)),
    )
    found = judge_machine(Snapshot(host=Host(system="Windows")), load(), (cause,))
    assert found.findings[0].fixes[0].commands == ("set CUDA_VISIBLE_DEVICES=",)
