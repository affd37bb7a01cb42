"""`@h100` names a result that was measured on a named GPU, and a run on that GPU is held against it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from envdoctor.bench import references
from envdoctor.bench.references import find, of_device
from envdoctor.bench.results import load, save
from envdoctor.errors import InputError
from envdoctor.resources import resource_folder
from tests.bench.made import result, workload
from tests.bench.scripts import envdoctor

H100, H200 = "NVIDIA H100 80GB HBM3", "NVIDIA H200"


@pytest.fixture
def collection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "references"
    folder.mkdir()
    save(result(workload("matmul.bf16", (700, 702, 698)), device=H100), folder / "h100-sxm.json")
    save(result(workload("matmul.bf16", (710, 712, 708)), device=H200), folder / "h200.json")
    monkeypatch.setenv(references.FOLDER_VARIABLE, str(folder))
    return folder


@pytest.mark.usefixtures("collection")
@pytest.mark.parametrize("name", ["@h100", "@H100-SXM", "@h100sxm", "@H100 SXM"])
def test_a_name_need_not_be_spelt_exactly(name: str) -> None:
    source, found = find(name)
    assert source == "@h100-sxm" and found.device is not None and found.device.name == H100


@pytest.mark.usefixtures("collection")
def test_what_is_ambiguous_or_unknown_lists_what_there_is() -> None:
    with pytest.raises(InputError, match="@h100-sxm, @h200"):
        find("@h")
    with pytest.raises(InputError, match="there are: @h100-sxm, @h200"):
        find("@b200")


def test_where_there_is_none_that_is_said_with_a_way_out() -> None:
    if list((resource_folder("benchmarks") / "reference").glob("*.json")):
        pytest.skip("reference results have been measured by now")
    with pytest.raises(InputError, match=r"no reference result yet.*ENVDOCTOR_REFERENCES"):
        find("@h100")


def test_every_bundled_reference_is_valid_whole_and_of_three_launches() -> None:
    for path in (resource_folder("benchmarks") / "reference").glob("*.json"):
        found = load(path)
        assert found.valid and found.launches >= 3 and found.device is not None and found.device.type == "cuda", path


def test_a_comparison_with_a_reference_from_the_command_line(tmp_path: Path, collection: Path) -> None:
    mine = tmp_path / "mine.json"
    save(result(workload("matmul.bf16", (650, 651, 649)), device=H100), mine)
    given: dict[str, Any] = {references.FOLDER_VARIABLE: str(collection)}
    code, out, err = envdoctor("bench", "compare", "@h100", mine, "--format", "json", home=tmp_path, **given)
    assert code == 0, err
    found = json.loads(out)
    assert [side["source"] for side in found["sides"]] == ["@h100-sxm", str(mine)]
    assert found["against"][0]["verdict"] == "slower"
    code, out, err = envdoctor("bench", "compare", mine, "@zx81", home=tmp_path, **given)
    assert code == 2 and out == "" and "@zx81" in err and "@h200" in err
    code, _, err = envdoctor("bench", "compare", mine, "@h100", home=tmp_path, ENVDOCTOR_REFERENCES="/no")
    assert code == 2 and "ENVDOCTOR_REFERENCES=/no" in err


def test_a_run_on_that_gpu_is_held_against_it(tmp_path: Path, collection: Path) -> None:
    mine = tmp_path / "mine.json"
    save(result(workload("matmul.bf16", (600, 601, 599)), device=H100, created="2026-11-20T08:00:00+00:00"), mine)
    given: dict[str, Any] = {references.FOLDER_VARIABLE: str(collection)}
    _, out, _ = envdoctor("bench", "show", mine, home=tmp_path, **given)
    assert "86% of the reference result @h100-sxm" in " ".join(out.split())


def test_a_damaged_collection_costs_no_report(collection: Path) -> None:
    (collection / "a-first.json").write_text("{")
    found = of_device(H100)
    assert found is not None and found[0] == "@h100-sxm"
    assert of_device("Tesla T4") is None and of_device(None) is None
    with pytest.raises(InputError, match=r"a-first\.json"):
        find("@a-first")
