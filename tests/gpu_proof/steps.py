"""What is run on the GPU, in three blocks of ten minutes at most."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BLOCK_S = 600.0
FAMILIES = (
    "matmul", "memory", "transfer", "launch", "conv", "resnet50", "transformer", "refcnn.train", "refcnn.digits", "numerics",
)  # fmt: skip


@dataclass(frozen=True)
class Step:
    """A command with the most seconds that it may take; what it leaves is in the out folder. `also`: runs beside it from a few
    seconds later on."""

    name: str
    seconds: float
    command: tuple[str, ...]
    also: tuple[str, ...] = ()
    only_on_gpu: bool = False


@dataclass(frozen=True)
class Place:
    """Where it runs: the interpreter (it has torch, and what envdoctor needs), where results go, and on what."""

    python: str
    out: Path
    device: str
    rehearsal: bool = False

    def envdoctor(self, *words: str) -> tuple[str, ...]:
        return (self.python, "-m", "envdoctor", *words)

    def bench(self, save: str, budget: float, *words: str) -> tuple[str, ...]:
        budget = min(budget, 12.0) if self.rehearsal else budget
        given = ("--python", self.python, "--device", self.device, "--budget", f"{budget:g}", "--no-history")
        return self.envdoctor("bench", *given, "--save", str(self.out / save), *words)

    def train(self, run: str, *words: str) -> tuple[str, ...]:
        run_folder = str(self.out / "runs" / run)
        return self.envdoctor(
            "train", "--python", self.python, "--device", self.device, "-o", run_folder, "--force", *words
        )

    def module(self, name: str, *words: str) -> tuple[str, ...]:
        return (self.python, "-m", name, *words)


def named(*families: str) -> Iterator[str]:
    for family in families:
        yield from ("--workload", family)


def blocks(at: Place) -> dict[str, tuple[Step, ...]]:
    """a: is the instrument right? b: the reference. c: training, and the rest."""
    epochs = "1" if at.rehearsal else "120"
    return {
        "a": (
            Step("probe", 240, at.module("tests.gpu_proof.probe", "--device", at.device, str(at.out / "probe.jsonl"))),
            Step("check", 30, at.envdoctor("check", "--format", "json")),
            Step("quick", 120, at.bench("quick.json", 66, "--suite", "quick")),
            Step("numerics", 60, at.bench("numerics.json", 45, *named("numerics"))),
            Step(
                "overhead", 130,
                at.module("benchmarks.overhead", "--device", at.device, "--seconds", "20", "--json",
                          *(word for case in ("matmul", "copy", "small", "triton") for word in ("--case", case))),
                only_on_gpu=True,
            ),
        ),
        "b": (
            # Its caches are then on the disk for the launches that count.
            Step(
                "compile-cache", 45,
                at.module("benchmarks", "--workload", "refcnn.train", "--preset", "tuned", "--budget", "20",
                          "--device", at.device),
                only_on_gpu=True,
            ),
            Step(
                "reference", 550,
                at.bench("reference.json", 500, "--suite", "standard", "--launches", "1" if at.rehearsal else "3",
                         *named(*(("numerics",) if at.rehearsal else FAMILIES))),
            ),
        ),
        "c": (
            Step("train", 60, at.train("digits", *(("--epochs", "1") if at.rehearsal else ()))),
            Step(
                "kill-and-resume", 110,
                at.module("tests.gpu_proof.resume", "--device", at.device, "--epochs", epochs, str(at.out)),
            ),
            Step(
                "train-224", 75,
                at.train("synthetic-224", "--data", "synthetic", "--epochs", "130", "--setting", "compile=true"),
                only_on_gpu=True,
            ),
            Step("ladder", 110, at.bench("ladder.json", 90, *named("refcnn.train"), "--parameter", "ladder=true"),
                 only_on_gpu=True),
            Step("loader-and-ablation", 150, at.bench("rest.json", 130, "--suite", "full", "--launches", "1",
                                                      *named("loader", "ablation")), only_on_gpu=True),
            Step(
                "two-at-once", 40,
                at.bench("first-of-two.json", 18, *named("memory.copy")),
                also=at.bench("second-of-two.json", 10, *named("matmul.bf16")),
                only_on_gpu=True,
            ),
            Step("timm", 55, at.module("benchmarks.overhead", "--device", at.device, "--seconds", "20", "--json",
                                       "--case", "resnet50", "--case", "timm"), only_on_gpu=True),
        ),
    }  # fmt: skip
