"""`envdoctor up`: what stops it, what it asks, how it goes on; and all of it with the real torch, on the CPU."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from envdoctor.bench.results import load as bench_result
from tests import real_torch, simulated
from tests.bench.scripts import envdoctor
from tests.sysroot import Sysroot


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def up(
    home: Path, directory: Path, *more: str, root: Path | None = None, wheels: Path | None = None
) -> tuple[int, str, str]:
    sysroot = {} if root is None else {"ENVDOCTOR_SYSROOT": str(root)}
    links = {} if wheels is None else {"PIP_FIND_LINKS": str(wheels)}
    return envdoctor("up", directory, *more, home=home, timeout=1500, **sysroot, **links)


# --- what stops it ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("machine", "code", "command"),
    [
        (simulated.debian_12_without_driver, "driver-missing", "apt"),
    ],
)
def test_what_needs_root_is_printed_and_stops_it(
    machine: Callable[[Path], Sysroot], code: str, command: str, tmp_path: Path, home: Path
) -> None:
    root, directory = tmp_path / "machine", tmp_path / "my proof"
    root.mkdir()
    machine(root)
    exit_code, out, err = up(home, directory, "--yes", root=root)
    assert exit_code == 1, err
    assert code in out and command in out and "root" in out
    assert out.strip().splitlines()[-1] == f"Repair this first; then: envdoctor up '{directory}'"
    assert not directory.exists()


def test_a_broken_torch_elsewhere_is_no_reason_to_stop(tmp_path: Path, home: Path) -> None:
    """The Python on PATH has no torch, which is an error of its own; the environment that is to be made has nothing of it."""
    code, _, err = up(home, tmp_path / "proof", root=_nothing(tmp_path))
    assert code == 2 and err.strip().splitlines()[-1].startswith("Error: nobody is there to be asked"), err
    assert "== Plan" in err and not (tmp_path / "proof").exists()


def test_where_no_torch_fits_nothing_is_made(tmp_path: Path, home: Path) -> None:
    code, out, _ = up(home, tmp_path / "proof", "--yes", "--torch", "1.0.0", root=_nothing(tmp_path))
    assert code == 1 and out.startswith("✗")
    assert not (tmp_path / "proof").exists()


def _nothing(folder: Path) -> Path:
    root = folder / "machine"
    root.mkdir()
    simulated.nothing(root)
    return root


@pytest.mark.parametrize(
    ("more", "words"),
    [(("--skip", "everything"), "everything"), (("--python", "python3", "--cuda", "cpu"), "--cuda")],
)
def test_wrong_usage_is_told_before_the_machine_is_looked_at(
    more: tuple[str, ...], words: str, tmp_path: Path, home: Path
) -> None:
    code, out, err = up(home, tmp_path / "proof", *more)
    assert code == 2 and not out and words in err.strip().splitlines()[-1] and "==" not in err


def test_a_file_is_no_folder(tmp_path: Path, home: Path) -> None:
    (tmp_path / "file").write_text("mine")
    code, _, err = up(home, tmp_path / "file", "--yes")
    assert code == 2 and "is a file" in err


def test_a_plan_that_cannot_be_read_is_told(tmp_path: Path, home: Path) -> None:
    (tmp_path / "plan.json").write_text("{")
    code, _, err = up(home, tmp_path, "--yes", "--skip", "check")
    assert code == 2 and err.strip().splitlines()[-1].startswith(f"Error: cannot read {tmp_path / 'plan.json'}")


# --- all of it --------------------------------------------------------------------------------------------------------


@pytest.fixture
def scratch() -> Iterator[Path]:
    with real_torch.scratch() as folder:
        yield folder


@pytest.mark.registry  # minutes: an environment is made, measured and trained in
@pytest.mark.torch
@pytest.mark.timeout(1800)
def test_up_proves_a_machine_without_a_gpu_and_goes_on_where_it_was_left(scratch: Path, home: Path) -> None:
    proof = scratch / "proof"
    wishes = ("--yes", "--torch", real_torch.TORCH, "--cuda", "13", "--budget", "20")
    code, out, err = up(home, proof, *wishes, "--skip", "bench", "--skip", "train", wheels=real_torch.wheels())
    assert code == 0, err
    assert f"torch {real_torch.TORCH}+" in out and "computes correctly on the CPU" in out
    assert f"source {proof / '.venv' / 'bin' / 'activate'}" in out
    assert not (proof / "bench.json").exists() and not (proof / "digits").exists()

    made = (proof / ".venv" / "pyvenv.cfg").stat().st_mtime_ns
    code, out, err = up(home, proof, *wishes)
    # Figures of a machine that others use too may be struck; then the page says so, and it is no success.
    measured = bench_result(proof / "bench.json")
    assert code == int(not measured.valid), err
    assert (proof / ".venv" / "pyvenv.cfg").stat().st_mtime_ns == made and "Install" not in err
    assert measured.workloads and json.loads((proof / "digits" / "result.json").read_text())
    text, page = (proof / "report.txt").read_text(), (proof / "report.html").read_text()
    assert page.startswith("<!DOCTYPE html>") and "<script" not in page
    for part in ("computes correctly", "What was installed, and why", "against which limit", "accuracy", "activate"):
        assert part in text and part in page, part
    assert str(proof / "report.html") in out.replace("\n", "").replace("  ", "")

    code, _, err = up(home, proof, "--yes", "--torch", "2.13", "--skip", "check")
    assert code == 2 and "made with other wishes" in err
