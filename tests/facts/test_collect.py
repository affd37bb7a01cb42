"""All probes at once, with a real interpreter that takes its time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from envdoctor.errors import InputError
from envdoctor.facts import collect
from envdoctor.facts.host import Machine
from tests.targets import bare_environment, stub_torch_environment


def machine(root: Path, **environment: str) -> Machine:
    (root / "bin").mkdir(parents=True, exist_ok=True)
    return Machine(root=root, environment={"PATH": os.defpath, **environment})


def test_who_gives_torch_more_time_gets_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = stub_torch_environment(tmp_path / "env", importing="hang")
    monkeypatch.setattr(collect, "PROBES", (("interpreter", "interpreter", 0.5),))
    snapshot = collect.collect(machine(tmp_path / "root", ENVDOCTOR_TORCH_TIMEOUT="3"), python=str(target.prefix))
    assert [(probe.name, probe.outcome) for probe in snapshot.probes] == [("interpreter", "ok")]
    assert snapshot.torch is not None
    assert snapshot.torch.run is not None
    assert snapshot.torch.run.outcome == "timeout"


def test_what_names_no_python_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a folder without a Python"):
        collect.collect(machine(tmp_path / "root"), python=str(tmp_path))


def test_a_probe_that_is_given_up_costs_its_own_section(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = bare_environment(tmp_path / "env")
    monkeypatch.setattr(collect, "PROBES", (("interpreter", "interpreter", 30.0), ("host", "no_such_probe", 5.0)))
    snapshot = collect.collect(machine(tmp_path / "root"), python=str(target.python), live=False)
    assert snapshot.interpreter is not None
    assert snapshot.interpreter.torch_installed is False
    (ok, failed) = snapshot.probes
    assert (ok.outcome, failed.outcome, snapshot.host) == ("ok", "failed", None)
    assert failed.error is not None
    assert "no_such_probe" in failed.error
