"""Checkpoints: written whole or not at all, read without running code from them.

A checkpoint is written beside its place and renamed: a process that is killed, or a disk that is full, leaves the one before.
`last.pt` holds everything that the rest of the run depends on; `best.pt` and `final.pt` the weights alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import io
import os
import warnings
from pathlib import Path
from typing import IO, Any, Dict, Mapping, Optional

import torch

from benchmarks.pipeline.errors import PipelineError

FORMAT = "envdoctor.checkpoint/1"


class _Watched(io.RawIOBase):
    """A file that remembers why it could not be written: torch turns an OSError into words without the reason."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.error: Optional[OSError] = None

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        try:
            return self.file.write(data)
        except OSError as error:
            self.error = error
            raise


def save(state: Mapping[str, Any], path: Path) -> None:
    """Write it in one step. Raises PipelineError with the reason; then the file that was there is still there."""
    temporary = path.with_name(path.name + ".writing")
    watched = None
    try:
        with temporary.open("wb", buffering=0) as file:
            watched = _Watched(file)
            torch.save(dict(state), watched)
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, RuntimeError) as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        reason = error if isinstance(error, OSError) else watched.error if watched is not None else None
        if reason is None:
            raise
        raise PipelineError(cannot_write(path, reason)) from error


def link(path: Path, place: Path) -> bool:
    """Give a checkpoint a second name instead of a second gigabyte; False where that cannot be (a file system without links)."""
    temporary = place.with_name(place.name + ".writing")
    try:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        os.link(str(path), str(temporary))
        temporary.replace(place)
    except OSError:
        return False
    return True


def cannot_write(path: Path, error: OSError) -> str:
    hint = ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        # Without its configuration, which is written first, there is no run to go on with.
        begun = ((path if path.is_dir() else path.parent) / "config.json").exists()
        hint = "; free some space and {}".format("continue the run with --resume" if begun else "start the run again")
    return "cannot write {}: {}{}".format(path, error.strerror or error, hint)


def load(path: Path) -> Dict[str, Any]:
    """A checkpoint of ours, or any saved state_dict (as {"model": ...}). Raises PipelineError saying why it is neither."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            state = torch.load(str(path), map_location="cpu", weights_only=True)
    except OSError as error:
        raise PipelineError("cannot read the checkpoint {}: {}".format(path, error.strerror or error)) from error
    except Exception as error:
        # An empty file is an error without words.
        reason = (str(error).strip().splitlines() or ["it is empty or cut off"])[0][:200]
        if "weights_only" in reason:  # torch goes on with how to run the code in it
            reason = "it holds more than tensors, or is no file of torch.save"
        raise PipelineError("{} is no checkpoint that can be read safely: {}".format(path, reason)) from error
    if isinstance(state, dict) and state.get("format") == FORMAT:
        return state
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]  # Lightning's and timm's wrapping
    if not isinstance(state, dict) or not state or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise PipelineError("{} is neither a checkpoint of a run nor a saved state_dict".format(path))
    # DistributedDataParallel and torch.compile put a word in front of every name.
    return {"model": {_bare(name): value for name, value in state.items()}}


def _bare(name: str) -> str:
    for prefix in ("module.", "_orig_mod."):
        if name.startswith(prefix):
            return _bare(name[len(prefix) :])
    return name


def digest(weights: Mapping[str, torch.Tensor]) -> str:
    """sha256 over names, shapes and values in their order of names: equal if and only if the weights are, bit for bit."""
    found = hashlib.sha256()
    for name in sorted(weights):
        value = weights[name].detach().cpu().contiguous()
        found.update("{} {} {}\n".format(name, tuple(value.shape), value.dtype).encode())
        size = value.numel() * value.element_size()
        # The tensor's own memory: this must work without numpy, and a gigabyte must not be copied.
        found.update((ctypes.c_char * size).from_address(value.data_ptr()) if size else b"")
    return found.hexdigest()
