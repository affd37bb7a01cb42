"""Image data as people have it: folders, ImageNet's layout, CIFAR-10, the bundled sets; the files are made here."""

from __future__ import annotations

import gzip
import hashlib
import os
import pickle
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import torch
from PIL import Image
from torchvision.datasets import CIFAR10

from benchmarks.data import bundled, folders, load
from benchmarks.data.images import Images
from benchmarks.pipeline import collect
from benchmarks.pipeline.batches import Batches
from benchmarks.pipeline.model import build
from benchmarks.pipeline.recipes import settings_for
from benchmarks.pipeline.settings import Knobs, Settings
from benchmarks.pipeline.training import Run
from tests.benchmarks.scenarios.cases import case, main, refusal

SCRATCH = Path(tempfile.mkdtemp())
CPU = torch.device("cpu")


def quiet(_done: int, _of: int) -> None:
    pass


def picture(path: Path, number: int, size: tuple[int, int] = (12, 10), mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = numpy.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), dtype=numpy.uint8)
    Image.fromarray(drawn).convert(mode).save(path)
    return path


def folder(name: str, **classes: int) -> Path:
    """So many sound pictures of each class."""
    root = SCRATCH / name
    for label, (kind, count) in enumerate(classes.items()):
        (root / kind).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            picture(root / kind / f"{number}.png", 1000 * label + number)
    return root


def settings(data: Path | str, **more: Any) -> Settings:
    return replace(Settings(data=str(data), size=8, batch=4), **more)


def pixels(source: Any) -> Any:
    assert isinstance(source, Images)
    return source.pixels


# --- collect and clean ------------------------------------------------------------------------------------------------


@case
def dirty_folder() -> Any:
    root = folder("dirty", cat=6, dog=6)
    picture(root / "cat/deep/deeper/nested.jpg", 77)
    picture(root / "cat/UPPER.PNG", 78)
    (root / "cat/notes.txt").write_text("no image")
    (root / "cat/corrupt.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"nonsense" * 9)
    whole = picture(root / "cat/whole.jpg", 80, (64, 64)).read_bytes()
    (root / "cat/cut.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "dog/empty.png").write_bytes(b"")
    (root / "dog/missing.png").symlink_to(root / "gone.png")
    shutil.copy(root / "dog/0.png", root / "dog/copy.png")
    shutil.copy(root / "cat/1.png", root / "dog/conflict.png")
    (root / ".hidden").mkdir()
    picture(root / ".hidden/x.png", 81)
    picture(root / "stray.png", 82)
    listing = collect.list_folder(root)
    cleaned, cleaning = collect.clean_files(listing, folders.check_image, quiet, {})
    made = load.load(settings(root))
    return {
        "classes": listing.classes,
        "listed": len(listing.paths),
        "kept": [Path(path).name for path in cleaned.paths],
        "counts": cleaning.counts,
        "examples": cleaning.examples,
        "notes": made.notes,
        "loaded": len(made.train) + len(made.validation) + len(made.test),
    }


@case
def headers_only() -> Any:
    """Of very many files only the headers are read: a file that is cut off shows when it is used."""
    root = folder("many", cat=2, dog=2)
    whole = picture(root / "cat/whole.jpg", 80, (64, 64)).read_bytes()
    (root / "cat/cut.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "cat/nonsense.jpg").write_bytes(b"nonsense")
    usual, collect.DECODE_UP_TO = collect.DECODE_UP_TO, 3
    try:
        _, cleaning = collect.clean_files(collect.list_folder(root), folders.check_image, quiet, {})
    finally:
        collect.DECODE_UP_TO = usual
    return {"kept": cleaning.kept, "counts": cleaning.counts}


@case
def folders_that_cannot_be() -> Any:
    one = folder("one", cat=1)
    empty_class = folder("empty-class", cat=5, dog=0)
    only_corrupt = folder("only-corrupt", cat=5, dog=0)
    (only_corrupt / "dog/bad.png").write_bytes(b"nonsense")
    (SCRATCH / "nothing").mkdir()
    (SCRATCH / "file").write_text("x")
    picture(SCRATCH / "flat/a.png", 1)
    other = folder("other/train", cat=4, dog=4)
    folder("other/val", cat=2, owl=2)
    folder("tiny", cat=2, dog=9)
    given: dict[str, Path | str] = {
        "one image": one,
        "empty class": empty_class,
        "only corrupt": only_corrupt,
        "nothing": SCRATCH / "nothing",
        "file": SCRATCH / "file",
        "absent": SCRATCH / "absent",
        "flat": SCRATCH / "flat",
        "other classes": other.parent,
        "tiny class": SCRATCH / "tiny",
        "name": "digitz",
    }
    return {name: refusal(load.load, settings(path)) for name, path in given.items()}


@case
def unreadable_folder() -> Any:
    root = folder("closed", cat=3, dog=3)
    if os.getuid() == 0:
        return "root reads everything"
    root.chmod(0)
    try:
        return refusal(load.load, settings(root))
    finally:
        root.chmod(0o755)


# --- reading ----------------------------------------------------------------------------------------------------------


@case
def read() -> Any:
    found = {}
    for mode, name in (
        ("RGB", "a.png"),
        ("L", "b.png"),
        ("P", "c.gif"),
        ("RGBA", "d.png"),
        ("CMYK", "e.jpg"),
        ("1", "f.bmp"),
    ):
        made = folders.read_image(str(picture(SCRATCH / "modes" / name, 5, mode=mode)), 8)
        found[mode] = [list(made.shape), str(made.dtype), made.is_contiguous()]
    path = SCRATCH / "plain.png"
    Image.new("RGB", (6, 9), (10, 20, 30)).save(path)
    found["colour"] = folders.read_image(str(path), 4)[:, 2, 2].tolist()
    return found


@case
def resized() -> Any:
    made = Images(torch.full((2, 1, 8, 8), 200, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64), ("a",), "n", "d")
    larger, smaller = made.resized(32), made.resized(4)
    return [list(larger.pixels.shape), int(larger.pixels.min()), list(smaller.pixels.shape), str(smaller.pixels.dtype)]


@case
def from_files() -> Any:
    root = folder("files", cat=10, dog=11)
    source = folders.folder_dataset(str(root), 8, quiet, in_memory=False).source
    in_memory = folders.folder_dataset(str(root), 8, quiet).source
    assert isinstance(in_memory, Images)
    made = Batches(source, 4, CPU, seed=1, shuffle=True, workers=2)
    order = made.order()
    shown, labels = (torch.cat(parts) for parts in zip(*made, strict=True))
    waited = made.waited
    Path(source.paths[3]).unlink()  # type: ignore[union-attr]
    after = Batches(source, 4, CPU)
    left = torch.cat([labels for _, labels in after])
    return {
        "kind": type(source).__name__,
        "the same pixels": bool(torch.equal(shown, in_memory.pixels[order])),
        "the same labels": bool(torch.equal(labels, in_memory.labels[order])),
        "the same digest": source.digest == in_memory.digest,
        "waited": waited > 0,
        "left": len(left),
        "unreadable": after.unreadable,
    }


@case
def vanishing() -> Any:
    """Every file of a class goes while it trains, a batch of one image each: they are counted, and the run goes on."""
    root = folder("vanishing", cat=10, dog=10)
    chosen = settings(root, preset="article", batch=1, epochs=1, schedule="constant", optimiser="sgd")
    parts = load.load(chosen)
    made = Run(build(2, 8, 0.5, 0), parts, chosen, Knobs(), CPU)
    shutil.rmtree(root / "cat")
    made.train()
    return {"unreadable": made.batches.unreadable, "steps": made.steps, "loss": made.history[0]["loss"] > 0}


# --- layouts ----------------------------------------------------------------------------------------------------------


@case
def imagenet() -> Any:
    root = folder("imagenet/train", n01440764=12, n01443537=12)
    for label, kind in enumerate(("n01440764", "n01443537")):
        for number in range(5):
            picture(root.parent / "val" / kind / f"v{number}.JPEG", 5000 + 100 * label + number)
    shutil.copy(root / "n01440764/0.png", root.parent / "val/n01440764/leaked.png")
    shutil.copy(root / "n01440764/1.png", root.parent / "val/n01443537/leaked.png")
    made = load.load(settings(root.parent))
    again = load.load(settings(root.parent, seed=9))
    return {
        "classes": made.classes,
        "sizes": [len(made.train), len(made.validation), len(made.test)],
        "same validation": bool(torch.equal(made.validation.labels, again.validation.labels)),
        "digest": made.digest == again.digest,
        "notes": made.notes,
    }


def cifar10(name: str) -> Path:
    """CIFAR-10 as it is downloaded, of 10 images a file, with the checksums that torchvision looks for."""
    root = SCRATCH / name / "cifar-10-batches-py"
    root.mkdir(parents=True)
    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    digests = {}
    for number, file in enumerate(names):
        drawn = numpy.random.default_rng(number).integers(0, 256, (10, 3072), dtype=numpy.uint8)
        content = pickle.dumps({"data": drawn, "labels": list(range(10))})
        (root / file).write_bytes(content)
        digests[file] = hashlib.md5(content).hexdigest()
    meta = pickle.dumps({"label_names": [f"kind{number}" for number in range(10)]})
    (root / "batches.meta").write_bytes(meta)
    CIFAR10.train_list = [[file, digests[file]] for file in names[:-1]]
    CIFAR10.test_list = [[names[-1], digests[names[-1]]]]
    CIFAR10.meta = {"filename": "batches.meta", "key": "label_names", "md5": hashlib.md5(meta).hexdigest()}
    return root


@case
def cifar() -> Any:
    root = cifar10("cifar")
    made = load.load(settings(root.parent, size=32, validation_share=0.2))
    inside = load.load(settings(root, size=32, validation_share=0.2))
    first = pickle.loads((root / "test_batch").read_bytes())["data"][3].reshape(3, 32, 32)
    (root / "data_batch_3").unlink()
    return {
        "classes": made.classes[:2],
        "sizes": [len(made.train), len(made.validation), len(made.test)],
        "inside": [len(inside.train), len(inside.validation), len(inside.test)],
        "pixels": bool((pixels(made.test)[3].numpy() == first).all()),
        "damaged": refusal(load.load, settings(root.parent, size=32)),
        "usual": [settings_for({"data": str(path)}).size for path in (root, root.parent, root.parent.parent)],
    }


# --- bundled ----------------------------------------------------------------------------------------------------------


@case
def bundled_sets() -> Any:
    digits, textures = bundled.digits(), bundled.textures()
    return {
        "digits": [list(digits.pixels.shape), torch.bincount(digits.labels).tolist(), int(digits.pixels.max())],
        "textures": [list(textures.pixels.shape), torch.bincount(textures.labels).tolist(), textures.classes],
        "synthetic": [
            bool(torch.equal(bundled.synthetic(8, 8, 5, 1).pixels, bundled.synthetic(8, 8, 5, 1).pixels)),
            bool(torch.equal(bundled.synthetic(8, 8, 5, 1).pixels, bundled.synthetic(8, 8, 5, 2).pixels)),
        ],
    }


@case
def damaged_bundle() -> Any:
    other = SCRATCH / "bundle"
    other.mkdir()
    (other / "digits.csv.gz").write_bytes(gzip.compress(b"0," * 64 + b"0\n"))
    usual, bundled.FOLDER = bundled.FOLDER, other
    try:
        return [refusal(bundled.digits), refusal(bundled.textures)]
    finally:
        bundled.FOLDER = usual


@case
def digits_in_parts() -> Any:
    made, other = (load.load(Settings(data="digits", size=8, seed=seed)) for seed in (0, 5))
    few = load.with_few_labels(made, 2, seed=0)
    source = [{bytes(row.flatten().tolist()) for row in pixels(part)} for part in made[:3]]
    scaled = pixels(made.train).double().div(255)
    mean, std = scaled.mean(), scaled.std(unbiased=False)
    return {
        "sizes": [len(made.train), len(made.validation), len(made.test)],
        "overlap": len(source[0] & source[1]) + len(source[0] & source[2]) + len(source[1] & source[2]),
        "same test": bool(torch.equal(pixels(made.test), pixels(other.test))),
        "statistics off": abs(made.mean[0] - float(mean)) + abs(made.std[0] - float(std)),
        "few": [len(few.train), len(few.test), few.mean != made.mean],
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
