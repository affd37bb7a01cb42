"""The user's own images: a folder of classes, ImageNet's layout, CIFAR-10."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Callable, Dict, Optional, Tuple

import torch

from benchmarks.data.images import Dataset, ImageFiles, Images, Source
from benchmarks.pipeline import collect
from benchmarks.pipeline.errors import PipelineError, install

IN_MEMORY = 1 << 30
"""Decoded images up to so many bytes are kept in memory: reading them again each epoch would cost more than training."""


def folder_dataset(name: str, size: int, progress: Callable[[int, int], None], in_memory: bool = True) -> Dataset:
    """Images in name/CLASS/, in ImageNet's layout (name/train/CLASS/ and name/val/CLASS/), or CIFAR-10 as it is downloaded.

    Raises PipelineError, in one line, where there is no such folder, no class in it, no image in a class, or no Pillow.
    """
    path = Path(name).expanduser().resolve()
    if not path.is_dir():
        what = "is a file, not a folder" if path.exists() else "does not exist"
        raise PipelineError("the image folder {} {}. Expected: {}/CLASS/IMAGE".format(path, what, path))
    if collect.is_cifar10(path):
        return _cifar10(path.parent if path.name == collect.CIFAR else path)
    _pillow()
    train = _first_of(path, collect.TRAIN)
    held_out = _first_of(path, collect.HELD_OUT) if train else None
    roots = [train or path, *([held_out] if held_out else [])]
    listings = [collect.list_folder(root) for root in roots]
    odd = sorted(set(listings[0].classes) ^ set(listings[-1].classes))
    if odd:
        raise PipelineError("{} and {} hold different classes: {}".format(train, held_out, ", ".join(odd[:5])))
    seen: Dict[str, int] = {}
    source, notes = _read(roots[0], listings[0], size, progress, in_memory, seen)
    if held_out is None:
        return Dataset(source, None, notes)
    other, other_notes = _read(held_out, listings[1], size, progress, in_memory, seen)
    return Dataset(source, other, notes + other_notes)


def _read(
    root: Path,
    listing: collect.Listing,
    size: int,
    progress: Callable[[int, int], None],
    in_memory: bool,
    seen: Dict[str, int],
) -> Tuple[Source, Tuple[str, ...]]:
    listing, cleaning = collect.clean_files(listing, check_image, progress, seen)
    labels = torch.tensor(listing.labels, dtype=torch.int64)
    collect.require_classes(labels, listing.classes, str(root), cleaning.notes())
    mark = hashlib.sha256()
    for path, label in zip(listing.paths, listing.labels):
        found = Path(path)
        mark.update("{} {} {}\n".format(found.relative_to(root).as_posix(), found.stat().st_size, label).encode())
    files = ImageFiles(listing.paths, labels, listing.classes, root.name, mark.hexdigest(), size)
    if not in_memory or len(files) * 3 * size * size > IN_MEMORY:
        return files, cleaning.notes()
    pixels = torch.empty(len(files), 3, size, size, dtype=torch.uint8)
    for index, path in enumerate(files.paths):
        pixels[index] = read_image(path, size)
        if index % collect.TELL_EVERY == 0:
            progress(index, len(files))
    return Images(pixels, labels, files.classes, files.name, files.digest), cleaning.notes()


class FileReader(torch.utils.data.Dataset):  # type: ignore[misc]
    """A map-style dataset of (uint8 (3, size, size), label) for a DataLoader; label -1 where the file cannot be read."""

    def __init__(self, files: ImageFiles) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Tuple[torch.Tensor, int]:
        try:
            return read_image(self.files.paths[index], self.files.size), int(self.files.labels[index])
        except (OSError, ValueError, SyntaxError):
            # Counted by the loop; one bad file among a million must not end a night's run.
            return torch.zeros(3, self.files.size, self.files.size, dtype=torch.uint8), -1


def read_image(path: str, size: int) -> torch.Tensor:
    """uint8 (3, size, size): decoded, made RGB, resized (bilinear) without keeping its proportions, as the article does."""
    image_module = _pillow()
    with image_module.open(path) as image:
        image.draft("RGB", (size, size))  # JPEG: decode at a smaller scale where that is enough
        pixels = image.convert("RGB").resize((size, size), image_module.BILINEAR)
    flat = torch.frombuffer(bytearray(pixels.tobytes()), dtype=torch.uint8)
    return flat.view(size, size, 3).permute(2, 0, 1).contiguous()


def check_image(path: str, thoroughly: bool) -> Optional[str]:
    """Why an image cannot be used, None where it can; thoroughly: by decoding all of it."""
    image_module = _pillow()
    try:
        with image_module.open(path) as image:
            if thoroughly:
                image.load()
    # Pillow raises OSError, ValueError, SyntaxError or struct.error by format, and its own error for a bomb.
    except Exception:  # noqa: BLE001
        return collect.CORRUPT
    return None


def _first_of(path: Path, names: Tuple[str, ...]) -> Optional[Path]:
    return next((path / name for name in names if collect.is_folder(path / name)), None)


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise PipelineError(
            "image files are read with Pillow, which this Python cannot import ({}): {}".format(
                error, install("pillow")
            )
        ) from error
    return Image


def _cifar10(root: Path) -> Dataset:
    try:
        from torchvision.datasets import CIFAR10
    except ImportError as error:
        raise PipelineError(
            "CIFAR-10 is read with torchvision, which this Python cannot import ({}): envdoctor compat torchvision says "
            "which one fits".format(error)
        ) from error
    parts = []
    for train in (True, False):
        try:
            read = CIFAR10(str(root), train=train, download=False)
        except (RuntimeError, OSError) as error:
            # torchvision advises its own argument download=True.
            raise PipelineError(
                "{} holds no whole CIFAR-10: a file of {} is missing, or its checksum is not that of the original. Unpack "
                "cifar-10-python.tar.gz there again".format(root, collect.CIFAR)
            ) from error
        pixels = torch.from_numpy(read.data).permute(0, 3, 1, 2).contiguous()
        digest = "cifar-10 " + CIFAR10.tgz_md5
        parts.append(Images(pixels, torch.tensor(read.targets), tuple(read.classes), "cifar-10", digest))
    return Dataset(parts[0], parts[1])
