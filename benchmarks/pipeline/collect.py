"""Collect and clean: what is missing, empty, corrupt or a duplicate is counted, said, and left out.

A duplicate would stand in the training part and in the test part at once, and the accuracy would be a memory of it.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional, Set, Tuple

import torch

from benchmarks.data.images import Images
from benchmarks.pipeline.errors import PipelineError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
DECODE_UP_TO = 50_000
"""Files that are decoded once to prove them sound; of more, only the headers are read, and the rest shows when it is used."""
TELL_EVERY = 200
TRAIN, HELD_OUT = ("train", "training"), ("val", "valid", "validation", "test")
"""Names of the parts that a folder may come in."""
CIFAR = "cifar-10-batches-py"
MISSING, EMPTY, CORRUPT, DUPLICATE, CONFLICTING = (
    "missing", "empty", "corrupt", "duplicate", "the same image under two classes",
)  # fmt: skip


class Listing(NamedTuple):
    """Files and the class of each."""

    paths: List[str]
    labels: List[int]
    classes: Tuple[str, ...]


class Cleaning(NamedTuple):
    """What was left out: how often for each reason, and the first few with their names."""

    kept: int
    counts: Dict[str, int]
    examples: List[str]

    def notes(self) -> Tuple[str, ...]:
        if not self.counts:
            return ()
        parts = ", ".join("{} {}".format(count, reason) for reason, count in sorted(self.counts.items()))
        shown = "; for example {}".format("; ".join(self.examples)) if self.examples else ""
        return ("left out: {}{}".format(parts, shown),)


def is_cifar10(path: Path) -> bool:
    """Whether this is CIFAR-10 as it is downloaded, or the folder that it was unpacked into."""
    return path.name == CIFAR or is_folder(path.expanduser() / CIFAR)


def is_folder(path: Path) -> bool:
    """Path.is_dir, and False where the folder above it may not be searched."""
    try:
        return path.is_dir()
    except OSError:
        return False


def image_paths(folder: Path) -> List[str]:
    """The images to train on, unread: of its part for training where it has one. Raises PipelineError as list_folder does."""
    folder = folder.expanduser()
    train = next((folder / name for name in TRAIN if (folder / name).is_dir()), folder)
    return list_folder(train).paths


def list_folder(root: Path) -> Listing:
    """root/CLASS/**/image: classes in the order of their names. Raises PipelineError where there are none."""
    try:
        names = sorted(entry.name for entry in os.scandir(root) if entry.is_dir() and not entry.name.startswith("."))
    except OSError as error:
        raise PipelineError("cannot read the image folder {}: {}".format(root, error.strerror or error)) from error
    if not names:
        raise PipelineError(
            "{} has no class folders. Expected: {}/CLASS/IMAGE, or train/CLASS/IMAGE and val/CLASS/IMAGE".format(
                root, root
            )
        )
    paths: List[str] = []
    labels: List[int] = []
    for label, name in enumerate(names):
        for folder, folders, files in os.walk(str(root / name)):
            folders.sort()
            found = [str(Path(folder) / file) for file in sorted(files) if file.lower().endswith(EXTENSIONS)]
            paths += found
            labels += [label] * len(found)
    return Listing(paths, labels, tuple(names))


def clean_files(
    listing: Listing,
    check: Callable[[str, bool], Optional[str]],
    progress: Callable[[int, int], None],
    seen: Dict[str, int],
) -> Tuple[Listing, Cleaning]:
    """The sound ones, each once; of one image under two classes neither label is known to be right, so both files go.

    check(path, thoroughly): why an image cannot be used, None where it can. seen: the class of each content that was met; one
    that is passed on keeps training images out of a test part.
    """
    thoroughly = len(listing.paths) <= DECODE_UP_TO

    def inspect(path: str) -> Tuple[Optional[str], str]:
        try:
            if Path(path).stat().st_size == 0:
                return EMPTY, ""
            mark = _digest(path) if thoroughly else ""
        except OSError:
            return MISSING, ""
        return check(path, thoroughly), mark

    paths, labels, reasons, examples = [], [], Counter(), []  # type: List[str], List[int], Counter[str], List[str]
    kept: Dict[str, int] = {}  # where the image of each content stands in `paths`
    conflicts: Dict[int, str] = {}
    with ThreadPoolExecutor(max_workers=min(16, (os.cpu_count() or 1) + 2)) as pool:
        for number, (path, label, (fault, mark)) in enumerate(
            zip(listing.paths, listing.labels, pool.map(inspect, listing.paths, chunksize=16))
        ):
            reason = fault
            if reason is None and mark and mark in seen:
                reason = DUPLICATE if seen[mark] == label else CONFLICTING
            if reason is CONFLICTING and mark in kept and kept[mark] not in conflicts:
                conflicts[kept[mark]] = path
                reasons[CONFLICTING] += 1
            if reason is None:
                if mark:
                    seen[mark] = label
                    kept[mark] = len(paths)
                paths.append(path)
                labels.append(label)
            else:
                reasons[reason] += 1
                if len(examples) < 3:
                    examples.append("{} ({})".format(path, reason))
            if number % TELL_EVERY == 0:
                progress(number, len(listing.paths))
    # A conflict is the one that somebody has to decide: it is named first.
    named = ["{} and {} ({})".format(paths[index], other, CONFLICTING) for index, other in conflicts.items()]
    examples = [*named, *(example for example in examples if CONFLICTING not in example or not named)][:3]
    sound = [index for index in range(len(paths)) if index not in conflicts]
    listing = Listing([paths[index] for index in sound], [labels[index] for index in sound], listing.classes)
    return listing, Cleaning(len(sound), dict(reasons), examples)


def clean_images(images: Images) -> Tuple[Images, Cleaning]:
    """Images in memory, each once; of one under two classes none."""
    seen: Dict[bytes, int] = {}
    keep: List[int] = []
    conflicts: Set[bytes] = set()
    marks: List[bytes] = []
    reasons: Counter[str] = Counter()
    flat = images.pixels.flatten(1)
    for index, (row, label) in enumerate(zip(flat, images.labels.tolist())):
        mark = hashlib.sha256(bytes(row.tolist())).digest()
        if mark in seen:
            reasons[DUPLICATE if seen[mark] == label else CONFLICTING] += 1
            if seen[mark] != label and mark not in conflicts:
                conflicts.add(mark)
                reasons[CONFLICTING] += 1
            continue
        seen[mark] = label
        keep.append(index)
        marks.append(mark)
    keep = [index for index, mark in zip(keep, marks) if mark not in conflicts]
    kept = images.pick(torch.tensor(keep)) if len(keep) < len(images) else images
    return kept, Cleaning(len(keep), dict(reasons), [])


def require_classes(labels: torch.Tensor, classes: Tuple[str, ...], where: str, notes: Tuple[str, ...] = ()) -> None:
    """Raises PipelineError where a class has no image, or there is only one class or image."""
    counts = torch.bincount(labels, minlength=len(classes)).tolist()
    empty = [name for name, count in zip(classes, counts) if count == 0]
    if empty:
        shown = ", ".join(repr(name) for name in empty[:5])
        raise PipelineError(
            "{}: no usable image in class{} {}{}{}. Add images, or remove the folder{}".format(
                where,
                "es" if len(empty) > 1 else "",
                shown,
                ", ..." if len(empty) > 5 else "",
                " ({})".format("; ".join(notes)) if notes else "",
                "s" if len(empty) > 1 else "",
            )
        )
    if len(classes) < 2:
        raise PipelineError(
            "{}: one class ({!r}) with {} image{}: there is nothing to tell apart. Two classes or more are needed".format(
                where, classes[0], counts[0], "" if counts[0] == 1 else "s"
            )
        )


def _digest(path: str) -> str:
    found = hashlib.sha256()
    with Path(path).open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            found.update(block)
    return found.hexdigest()
