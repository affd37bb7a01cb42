"""The pages that people read about a diagnosis are those of the code at hand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from envdoctor.diagnosis.catalogue import all_diagnoses
from envdoctor.diagnosis.pages import MARK, _prose, pages, stale, write

COMMITTED = Path(__file__).parents[2] / "docs" / "diagnoses"
HEADINGS = ["What it is", "Told apart by", "Repair", "Sources"]


def run(*arguments: str | Path) -> tuple[int, str]:
    command = [sys.executable, "-m", "envdoctor.diagnosis.pages", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


def test_the_pages_in_the_repository_are_current(tmp_path: Path) -> None:
    assert run(tmp_path) == (0, "")
    fresh = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    committed = {path.name: path.read_text(encoding="utf-8") for path in COMMITTED.glob("*.md")}
    wrong = sorted(name for name in fresh.keys() | committed.keys() if fresh.get(name) != committed.get(name))
    assert not wrong, f"run `make pages`: {', '.join(wrong)}"


def test_every_page_has_its_headings_and_text_under_each() -> None:
    for name, page in pages().items():
        if name != "README.md":
            parts = re.split(r"^## (.+)$", page, flags=re.MULTILINE)
            assert parts[1::2] == HEADINGS, name
            assert all(text.strip() for text in parts[2::2]), name


def test_words_of_a_docstring_are_not_taken_for_markup() -> None:
    codes = frozenset({"gpu-lost"})
    said = _prose("torch/__init__.py, *.so in `nvidia-*`, init_code, <device>, [x]; see `gpu-lost`", codes)
    assert said == (
        r"torch/\_\_init\_\_.py, \*.so in `nvidia-*`, init_code, \<device>, \[x\]; see [`gpu-lost`](gpu-lost.md)"
    )


def test_every_link_leads_to_a_page() -> None:
    everything = pages()
    for name, page in everything.items():
        for target in re.findall(r"\]\(([^)]+)\)", page):
            assert target in everything, f"{name} links to {target}"


def test_the_index_lists_every_diagnosis_with_layer_and_severity() -> None:
    rows = [line for line in pages()["README.md"].splitlines() if line.startswith("| [")]
    assert len(rows) == len(all_diagnoses())
    for diagnosis, row in zip(all_diagnoses(), rows, strict=True):
        assert f"[`{diagnosis.code}`]" in row
        assert f"| {diagnosis.layer.value} | {diagnosis.severity.value} |" in row


def test_check_names_what_is_stale_and_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path)
    assert run("--check", tmp_path) == (0, "")
    (tmp_path / "driver-missing.md").unlink()
    (tmp_path / "gpu-lost.md").write_text("edited by hand")
    (tmp_path / "no-such-code.md").write_text(f"{MARK}nowhere -->")
    code, said = run("--check", tmp_path)
    assert code == 1
    assert {Path(line.split()[0]).name for line in said.splitlines()[:-1]} == set(stale(tmp_path))
    assert set(stale(tmp_path)) == {"driver-missing.md", "gpu-lost.md", "no-such-code.md"}
    assert (tmp_path / "gpu-lost.md").read_text() == "edited by hand"


def test_writing_takes_away_pages_of_its_own_only(tmp_path: Path) -> None:
    (tmp_path / "no-such-code.md").write_text(f"{MARK}nowhere -->")
    (tmp_path / "notes.md").write_text("mine")
    write(tmp_path)
    assert not (tmp_path / "no-such-code.md").exists() and (tmp_path / "notes.md").read_text() == "mine"
    assert stale(tmp_path) == {}
