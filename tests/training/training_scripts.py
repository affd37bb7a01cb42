"""A child that speaks the protocol of benchmarks/train.py and keeps a run's folder, without torch, and fails as it is told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.bench.scripts import PRELUDE

# `at(place)` runs what FAULTS says of that place: start, hello, run, epoch 2, finish.
TRAINER = (
    PRELUDE
    + """
folder = sys.argv[sys.argv.index("-o") + 1]
resumed = "--resume" in sys.argv
FAULTS = {}
DEVICE = {"type": "cpu", "name": "Test Device", "memory_bytes": 8 << 30}
EPOCHS = 3
SETTINGS = {"data": "digits", "size": 32, "epochs": EPOCHS, "batch": 64, "preset": "tuned", "optimiser": "adam",
            "target_accuracy": 0.97}
def at(place):
    exec(FAULTS.get(place, ""), globals())
def path(name):
    return os.path.join(folder, name)
def write(name, text, mode="w"):
    with open(path(name), mode) as file:
        file.write(text)
def fail(kind, message, code, traceback=""):
    emit("error", kind=kind, message=message, traceback=traceback)
    sys.exit(code)
def begin():
    emit("hello", schema="envdoctor.events/1", monotonic=time.monotonic(), pid=os.getpid(), python="3.12.1",
         torch="2.15.0", torchvision=None, cuda=None, cudnn=None, device=DEVICE, threads=2, precision={}, seed=0)
    at("hello")
    os.makedirs(folder, exist_ok=True)
    if not resumed:
        write("config.json", json.dumps({"schema": "envdoctor.run/1", "settings": SETTINGS, "parameters": 1234, "data":
              {"name": "digits", "digest": "d1", "images": {"train": 80, "validation": 10, "test": 20}, "classes":
               {"cat": 40, "a | b": 40}, "notes": []}}))
    emit("run", folder=folder, settings=SETTINGS, knobs={"precision": "bf16", "channels_last": True, "fused": True})
    at("run")
def epoch(number):
    emit("progress", phase="train", epoch=number - 1, epochs=EPOCHS, step=5, steps=10, loss=1 / number, accuracy=0.5,
         images_per_second=900.0, remaining_s=12.0, data_wait=0.01)
    at("epoch %d" % number)
    line = {"epoch": number, "loss": 1 / number, "accuracy": 1 - 0.2 / number, "validation_loss": 0.5 / number,
            "validation_accuracy": 1 - 0.1 / number, "validation_f1": 0.9, "rate": 0.001, "steps": 10 * number,
            "seconds": 1.0, "images_per_second": 900.0, "data_wait": 0.01}
    write("metrics.jsonl", json.dumps(line) + chr(10), "a")
    write("last.pt", str(number))
    emit("epoch", **line)
OUTCOME = {"test": {"images": 20, "loss": 0.1, "accuracy": 0.95, "precision": 0.951, "recall": 0.949, "f1": 0.95},
           "confusion": [[10, 0], [1, 9]], "classes": ["cat", "a | b"], "epochs": EPOCHS, "steps": 30,
           "weights": {"of": "last", "epoch": EPOCHS, "digest": "w1"}, "knobs": {"precision": "bf16"},
           "first_step": {"worst": "conv1.weight", "cosine": 0.998, "relative": 0.07, "loss": 2.3, "reference_loss": 2.3},
           "images_per_second": 900.0, "data_wait": 0.01, "seconds": 3.0}
def main():
    at("start")
    begin()
    done = int(open(path("last.pt")).read()) if resumed and os.path.exists(path("last.pt")) else 0
    for number in range(done + 1, EPOCHS + 1):
        epoch(number)
    write("final.pt", "weights")
    at("finish")
    emit("finished", **OUTCOME)
"""
)


def trainer(folder: Path, settings: str = "", faults: Mapping[str, str] | None = None) -> Path:
    """A whole trainer; `settings` overrides DEVICE, EPOCHS, SETTINGS, OUTCOME; `faults`: code by place."""
    path = folder / "trainer.py"
    path.write_text(f"{TRAINER}\nFAULTS = {dict(faults or {})!r}\n{settings}\nmain()\n")
    return path
