"""JPEG files for the loader: photographs of brick, grass and gravel (data/README.md), cut and tinted.

500 x 375 is a usual size in ImageNet. How large the files get is measured and recorded: a decoder's work depends on it.
"""

from __future__ import annotations

import ctypes
import hashlib
from pathlib import Path
from typing import Any, List, Tuple

import torch

from benchmarks.data.bundled import textures

WIDTH, HEIGHT, QUALITY = 500, 375, 90
FORMATS = (".jpg", ".jpeg")
MOST_FILES = 2000


def write(folder: Path, count: int, seed: int) -> List[str]:
    """Write so many JPEGs; needs Pillow. The pixels follow from the seed, the bytes from Pillow's libjpeg."""
    from PIL import Image

    generator = torch.Generator().manual_seed(seed)
    pictures = textures(512).pixels
    paths = []
    for number in range(count):
        picture = pictures[number % len(pictures), 0].float()
        top, left = (int(torch.randint(0, 512 - side + 1, (), generator=generator)) for side in (HEIGHT, WIDTH))
        grey = picture[top : top + HEIGHT, left : left + WIDTH]
        # Each channel with a slope and an offset of its own, as light of another colour would give.
        slope = 0.7 + 0.6 * torch.rand(3, 1, 1, generator=generator)
        offset = 40 * (torch.rand(3, 1, 1, generator=generator) - 0.5)
        pixels = (grey * slope + offset).clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous()
        image = Image.frombytes("RGB", (WIDTH, HEIGHT), ctypes.string_at(pixels.data_ptr(), pixels.numel()))
        path = folder / "{:04d}.jpg".format(number)
        image.save(path, quality=QUALITY)
        paths.append(str(path))
    return paths


def found_in(folder: str) -> Tuple[List[str], str]:
    """The JPEGs under a folder (the first 2,000 by name), and a digest of their names and sizes. Raises ValueError for none."""
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise ValueError("--data {}: no such folder".format(folder))
    paths = sorted(path for path in root.rglob("*") if path.suffix.lower() in FORMATS)[:MOST_FILES]
    if not paths:
        raise ValueError("--data {}: no JPEG files in it".format(folder))
    digest = hashlib.sha256()
    for path in paths:
        digest.update("{} {}\n".format(path.relative_to(root).as_posix(), path.stat().st_size).encode())
    return [str(path) for path in paths], digest.hexdigest()


class Pictures(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """Decoded pictures, round and round without an end: index i is file i modulo their number."""

    def __init__(self, paths: List[str], size: int, pipeline: str) -> None:
        self.paths, self.size, self.pipeline = paths, size, pipeline
        self.mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
        self.std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)

    def __len__(self) -> int:
        return 1 << 40

    def __getitem__(self, index: int) -> Any:
        from PIL import Image

        with Image.open(self.paths[index % len(self.paths)]) as image:
            if self.pipeline == "uint8":
                # libjpeg decodes at a half, a quarter or an eighth of the size for a fraction of the work.
                image.draft("RGB", (self.size, self.size))
            picture = image.convert("RGB").resize((self.size, self.size), Image.BILINEAR)
        pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
        pixels = pixels.view(self.size, self.size, 3).permute(2, 0, 1)
        if self.pipeline == "uint8":
            return pixels
        # What torchvision's ToTensor and Normalize do.
        return (pixels.contiguous().float().div(255) - self.mean) / self.std
