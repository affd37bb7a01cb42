"""A run that is killed in the middle and resumed, and its twin that never stopped: are their weights equal, bit for bit?"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

KILL_AFTER = 1 / 6
"""Of the epochs."""


def train(folder: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.train", "-o", str(folder), *words]


def main(arguments: Sequence[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--device", default="cuda")
    options.add_argument("--epochs", type=int, default=120)
    options.add_argument("out", type=Path)
    given = options.parse_args(arguments)
    killed, twin = given.out / "runs" / "killed", given.out / "runs" / "twin"
    for folder in (killed, twin):
        shutil.rmtree(folder, ignore_errors=True)
    how = ("--device", given.device)
    steps = ("--epochs", str(given.epochs), "--save-every", "3", *how)
    first = subprocess.Popen(train(killed, *steps), start_new_session=True)
    while (
        first.poll() is None
        and epochs_of(killed) < max(1, given.epochs * KILL_AFTER)
        and not saved(killed, given.epochs)
    ):
        time.sleep(0.02)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    after = epochs_of(killed)
    subprocess.run(train(killed, "--resume", *how), check=True)
    subprocess.run(train(twin, *steps), check=True)
    digests = [json.loads((folder / "result.json").read_text())["weights"]["digest"] for folder in (killed, twin)]
    found = {
        "killed_after_epochs": after,
        "digests": digests,
        "equal": digests[0] == digests[1],
        "device": given.device,
    }
    (given.out / "resume.json").write_text(json.dumps(found, indent=1) + "\n")
    return int(not found["equal"])


def epochs_of(folder: Path) -> int:
    file = folder / "metrics.jsonl"
    return len(file.read_text().splitlines()) if file.exists() else 0


def saved(folder: Path, epochs: int) -> bool:
    """Of a run of one epoch, a checkpoint in the middle of it is what it can be killed after."""
    return epochs == 1 and (folder / "last.pt").exists()


if __name__ == "__main__":
    sys.exit(main())
