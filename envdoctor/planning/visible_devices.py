"""What CUDA_VISIBLE_DEVICES leaves of a machine's GPUs."""

from __future__ import annotations

from collections.abc import Sequence

from envdoctor.facts.sections.gpu import Gpu


def select_devices(selection: str, present: Sequence[Gpu]) -> tuple[tuple[int, ...], str | None]:
    """What CUDA_VISIBLE_DEVICES=`selection` leaves of the GPUs present: their positions, and the first entry that names none.

    CUDA reads the list up to the first invalid entry (CUDA programming guide, 'CUDA Environment Variables'); a UUID may be
    cut short as long as it names one GPU. MIG entries are not judged here: they select nothing and are never invalid.
    """
    chosen: list[int] = []
    entries = [entry.strip() for entry in selection.split(",")] if selection.strip() else []
    for entry in entries:
        if entry.upper().startswith("MIG"):
            continue
        if entry.upper().startswith("GPU-"):
            matches = [i for i, gpu in enumerate(present) if gpu.uuid and gpu.uuid.lower().startswith(entry.lower())]
            if len(matches) != 1:
                return tuple(chosen), None if any(gpu.uuid is None for gpu in present) else entry
            chosen.append(matches[0])
            continue
        # CUDA reads a number as C's strtol does: '0x1' is not a device, '1 ' is.
        if not entry.isdecimal() or int(entry) >= len(present):
            return tuple(chosen), entry
        chosen.append(int(entry))
    return tuple(chosen), None
