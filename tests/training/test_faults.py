"""A device that trains wrongly: the run fails, says so first, and tells what to do. Planted in the real pipeline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests import real_torch
from tests.bench.scripts import envdoctor

pytestmark = pytest.mark.torch
ROOT = Path(__file__).parents[2]
SMALL = ("--device", "cpu", "--threads", "1", "--size", "8", "--precision", "bf16")


def run(folder: Path, fault: str, *more: str, torchvision: bool = False) -> tuple[int, Any, str]:
    """Its exit code, its document, and what the same run says to a person."""
    program = folder / "trainer.py"
    source = (Path(__file__).parent / "planted_faults.py").read_text()
    program.write_text(f"{source}\n\nsys.exit(main({fault!r}, {str(ROOT)!r}))\n")
    python = real_torch.environment(torchvision=torchvision).python
    options: tuple[str | Path, ...] = ("--trainer", program, "--python", python, *SMALL, *more)
    code, out, err = envdoctor("train", *options, "-o", folder / "run", "--format", "json", home=folder)
    assert "Traceback" not in out + err, out + err
    return code, json.loads(out), err


def shown(folder: Path, fault: str, *more: str, torchvision: bool = False) -> str:
    python = real_torch.environment(torchvision=torchvision).python
    options: tuple[str | Path, ...] = ("--trainer", folder / "trainer.py", "--python", python, *SMALL, *more, "--force")
    return envdoctor("train", *options, "-o", folder / "run", home=folder)[1]


def test_a_first_step_unlike_the_cpus_ends_the_run_before_it_costs_anything(tmp_path: Path) -> None:
    code, found, _ = run(tmp_path, "first step", "--epochs", "2")
    assert code == 1 and found["status"] == "invalid" and not found["ok"]
    assert found["failure"]["kind"] == "validation" and "first step's" in found["invalid_because"][0]
    assert "CPU" in found["invalid_because"][0] and found["epochs"] == [] and found["outcome"] is None
    text = shown(tmp_path, "first step", "--epochs", "2")
    assert "must not be trusted" in text.splitlines()[0]
    assert "Check the arithmetic: envdoctor bench --device=cpu --python=" in text


def test_a_device_that_fails_after_the_first_step_does_not_reach_the_accuracy(tmp_path: Path) -> None:
    more = ("--epochs", "1", "--labels-per-class", "30", "--setting", "target-accuracy=0.5")
    code, found, _ = run(tmp_path, "later", *more)
    assert code == 1 and found["status"] == "invalid", found
    assert "at least 50.00% is expected" in found["invalid_because"][0] and "numerics" in found["invalid_because"][0]
    assert found["outcome"]["test"]["accuracy"] < 0.5 and found["outcome"]["first_step"]["cosine"] > 0.98
    assert "must not be trusted" in (tmp_path / "run/MODEL_CARD.md").read_text()


def test_an_export_that_disagrees_is_not_to_be_deployed(tmp_path: Path) -> None:
    more = ("--epochs", "1", "--labels-per-class", "4", "--export", str(tmp_path / "model.onnx"))
    code, found, _ = run(tmp_path, "export", *more, torchvision=True)
    assert code == 1 and found["status"] == "invalid", found
    said = found["invalid_because"][0]
    assert "model.onnx: onnxruntime 1.32.0 does not compute what torch computes" in said and "0.001" in said
    assert "Do not deploy it" in said and found["outcome"]["export"] is None and found["resumable"]
