"""The pipeline's stages on tensors: normalise, augment, split, batch and shuffle, optimise, evaluate, fine-tune, keep."""

from __future__ import annotations

import contextlib
import itertools
import math
import random
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.data.images import Images
from benchmarks.data.load import Parts
from benchmarks.models.simple_cnn import SimpleCNN, parameter_count
from benchmarks.pipeline import augment, checkpoint, evaluate, finetune, first_step, normalise, optimise
from benchmarks.pipeline.batches import Batches
from benchmarks.pipeline.checkpointer import Checkpointer
from benchmarks.pipeline.collect import clean_images, require_classes
from benchmarks.pipeline.model import build, loss_function
from benchmarks.pipeline.prepare import Preparation
from benchmarks.pipeline.run_folder import RunFolder
from benchmarks.pipeline.settings import Knobs, Settings
from benchmarks.pipeline.split import few_labels, stratified_split
from benchmarks.pipeline.step import TrainingStep
from benchmarks.pipeline.training import Run, Stopped
from tests.benchmarks.scenarios.cases import case, main, refusal

CPU = torch.device("cpu")
PLAIN = Knobs(sync_each_step=False, prepare_on_device=True)
SCRATCH = Path(tempfile.mkdtemp())


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(count: int = 24, size: int = 8, classes: int = 2, noise: int = 60) -> Images:
    """Images that can be told apart: each class is a brightness."""
    labels = torch.arange(count) % classes
    pixels = torch.randint(0, noise, (count, 1, size, size), generator=seeded(1), dtype=torch.uint8)
    pixels += (labels * (180 // classes)).to(torch.uint8)[:, None, None, None]
    return Images(pixels, labels, tuple("abcdefgh"[:classes]), "made", "digest")


def parts(count: int = 24) -> Parts:
    made = images(count)
    return Parts(made, images(8), images(8), (0.5,), (0.2,), "digest", ())


def settings(**values: Any) -> Settings:
    return replace(Settings(size=8, epochs=3, batch=8, dropout=0.5, crop=1, rate=1e-3), **values)


def run(chosen: Settings, given: Any = None) -> Run:
    data = given or parts()
    return Run(build(len(data.classes), chosen.size, chosen.dropout, chosen.seed), data, chosen, PLAIN, CPU)


def flat(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


# --- normalise --------------------------------------------------------------------------------------------------------


def z_scored(images: torch.Tensor, mean: list[float], std: list[float]) -> torch.Tensor:
    return normalise.z_score(images, normalise.by_channel(mean, images), normalise.by_channel(std, images))


@case
def normalised() -> Any:
    values = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    mean, std = normalise.statistics(torch.tensor([[[[0, 255]], [[51, 51]]]], dtype=torch.uint8))
    return {
        "min-max": normalise.min_max(values, 1, 5).tolist(),
        "z-score": z_scored(values.view(1, 1, 1, 5), [3.0], [2**0.5]).flatten().tolist(),
        "two channels": z_scored(torch.ones(1, 2, 1, 1), [0.0, 1.0], [0.5, 0.5]).flatten().tolist(),
        "mean": mean,
        "std": std,
    }


@case
def min_max_of_equal_ends() -> Any:
    try:
        return normalise.min_max(torch.ones(3), 1, 1).tolist()
    except ValueError as error:
        return str(error)


@case
def statistics_agree_with_torch() -> Any:
    pixels = torch.randint(0, 256, (7, 3, 5, 6), dtype=torch.uint8, generator=seeded(0))
    mean, std = normalise.statistics(pixels)
    scaled = pixels.double().div(255).transpose(0, 1).flatten(1)
    return max(
        float((torch.tensor(mean, dtype=torch.float64) - scaled.mean(1)).abs().max()),
        float((torch.tensor(std, dtype=torch.float64) - scaled.std(1, unbiased=False)).abs().max()),
    )


# --- augment ----------------------------------------------------------------------------------------------------------


def dot(size: int = 9) -> torch.Tensor:
    """One bright pixel off the centre, in each of 16 images."""
    made = torch.zeros(16, 1, size, size)
    made[:, 0, 4, 6] = 1.0
    return made


def places(pictures: torch.Tensor) -> list[Any]:
    return [divmod(int(picture.argmax()), picture.shape[-1]) for picture in pictures[:, 0]]


@case
def padded() -> Any:
    made = augment.pad(torch.ones(2, 3, 4, 5), 2)
    return {"shape": list(made.shape), "sum": float(made.sum()), "border": float(made[:, :, :2].sum())}


@case
def cropped() -> Any:
    shifted = places(augment.random_crop(dot(), 2, seeded(3)))
    return {
        "shape": list(augment.random_crop(dot(), 2, seeded(3)).shape),
        "shifts": sorted({(row - 4, column - 6) for row, column in shifted}),
        "same seed": bool(
            torch.equal(augment.random_crop(dot(), 2, seeded(3)), augment.random_crop(dot(), 2, seeded(3)))
        ),
        "other seed": bool(
            torch.equal(augment.random_crop(dot(), 2, seeded(3)), augment.random_crop(dot(), 2, seeded(4)))
        ),
        "none": bool(torch.equal(augment.random_crop(dot(), 0, seeded(3)), dot())),
    }


@case
def rotated() -> Any:
    turned = augment.random_rotation(dot(), 90, seeded(3))
    distances = [math.hypot(row - 4, column - 4) for row, column in places(turned)]
    again = augment.random_rotation(dot(), 90, seeded(3))
    return {
        "shape": list(turned.shape),
        "places": len(set(places(turned))),
        "distances": [min(distances), max(distances)],
        "same seed": bool(torch.equal(turned, again)),
        "none": float((augment.random_rotation(dot(), 0, seeded(3)) - dot()).abs().max()),
        "above": sum(row < 4 for row, _ in places(turned)),
        "below": sum(row > 4 for row, _ in places(turned)),
    }


@case
def flipped() -> Any:
    return {column: places(augment.random_flip(dot(), seeded(3))).count((4, column)) for column in (2, 6)}


@case
def prepared() -> Any:
    made = images()
    chosen = settings(crop=2, rotation=10.0, flip=True)

    def once(seed: int) -> torch.Tensor:
        return Preparation((0.5,), (0.2,), replace(chosen, seed=seed), False).for_training(made.pixels)

    before = made.pixels.clone()
    trained, judged = once(0), Preparation((0.5,), (0.2,), chosen, True).for_evaluation(made.pixels)
    first = (made.pixels[0, 0, 0, 0].item() / 255 - 0.5) / 0.2
    return {
        "shape": list(trained.shape),
        "dtype": str(trained.dtype),
        "same seed": bool(torch.equal(trained, once(0))),
        "other seed": bool(torch.equal(trained, once(1))),
        "moved": bool(torch.equal(trained, judged)),
        "untouched": bool(torch.equal(before, made.pixels)),
        "evaluation": float(judged[0, 2, 0, 0]) - first,
        "channels_last": judged.is_contiguous(memory_format=torch.channels_last),
    }


# --- split ------------------------------------------------------------------------------------------------------------


@case
def split() -> Any:
    labels = torch.tensor([0] * 100 + [1] * 50 + [2] * 10)[torch.randperm(160, generator=seeded(9))]
    made = stratified_split(labels, [0.1, 0.2], seed=0)
    everything = torch.cat(made).sort().values
    return {
        "counts": [torch.bincount(labels[part], minlength=3).tolist() for part in made],
        "all, once": everything.tolist() == list(range(160)),
        "same seed": all(map(torch.equal, made, stratified_split(labels, [0.1, 0.2], seed=0))),
        "other seed": all(map(torch.equal, made, stratified_split(labels, [0.1, 0.2], seed=1))),
        "tiny": [len(part) for part in stratified_split(torch.tensor([0] * 3 + [1] * 4), [0.1, 0.2], seed=0)],
        "greedy": [len(part) for part in stratified_split(torch.tensor([0] * 5), [0.9, 0.9], seed=0)],
        "too few": refusal(stratified_split, torch.tensor([0] * 9 + [1] * 2), [0.1, 0.2], 0, ("cat", "dog")),
    }


@case
def few() -> Any:
    labels = torch.arange(40) % 4
    made = few_labels(labels, 3, seed=5)
    return {
        "counts": torch.bincount(labels[made]).tolist(),
        "other seed": bool(torch.equal(made, few_labels(labels, 3, seed=6))),
        "too many": refusal(few_labels, labels, 11, 0, ("cat", "dog", "owl", "yak")),
    }


@case
def cleaned_images() -> Any:
    made = images(6)
    made.pixels[3] = made.pixels[1]  # the same class: a duplicate
    made.pixels[4] = made.pixels[1]  # another class: which is it?
    kept, cleaning = clean_images(made)
    return {"kept": len(kept), "labels": kept.labels.tolist(), "counts": cleaning.counts, "notes": cleaning.notes()}


@case
def classes_that_cannot_be() -> Any:
    return [
        refusal(require_classes, torch.tensor([0, 0, 2]), ("cat", "dog", "owl"), "pets"),
        refusal(require_classes, torch.tensor([0]), ("cat",), "pets"),
        refusal(require_classes, torch.tensor([0, 1]), ("cat", "dog"), "pets"),
    ]


# --- batch and shuffle ------------------------------------------------------------------------------------------------


def labelled(count: int) -> Images:
    """Each image carries its own number."""
    pixels = torch.arange(count, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 4, 4).contiguous()
    return Images(pixels, torch.arange(count), tuple(str(n) for n in range(count)), "numbers", "d")


def handed_out(batches: Batches) -> list[list[int]]:
    return [labels.tolist() for _, labels in batches]


@case
def batches() -> Any:
    made = Batches(labelled(21), 8, CPU, seed=1, shuffle=True)
    first = handed_out(made)
    pairs = [bool((pixels[:, 0, 0, 0].long() == labels).all()) for pixels, labels in made]
    made.start_epoch(1)
    second = handed_out(made)
    again = Batches(labelled(21), 8, CPU, seed=1, shuffle=True)
    other = Batches(labelled(21), 8, CPU, seed=2, shuffle=True)
    whole = Batches(labelled(21), 8, CPU, seed=1, shuffle=True, whole_only=True)
    small = Batches(labelled(5), 8, CPU, seed=1, whole_only=True)
    return {
        "sizes": [len(batch) for batch in first],
        "each once": sorted(itertools.chain(*first)) == list(range(21)),
        "labels fit": all(pairs),
        "second epoch": second != first and sorted(itertools.chain(*second)) == list(range(21)),
        "same seed": handed_out(again) == first,
        "other seed": handed_out(other) == first,
        "in order": handed_out(Batches(labelled(21), 8, CPU))
        == [list(range(8)), list(range(8, 16)), list(range(16, 21))],
        "whole only": [len(batch) for batch in handed_out(whole)] + [len(whole)],
        "less than a batch": [len(batch) for batch in handed_out(small)] + [len(small)],
    }


@case
def batches_taken_up() -> Any:
    made = Batches(labelled(21), 8, CPU, seed=1, shuffle=True)
    made.start_epoch(4)
    whole = handed_out(made)
    made.start_epoch(4)
    walk = iter(made)
    next(walk)
    state = made.state()
    other = Batches(labelled(21), 8, CPU, seed=1, shuffle=True)
    other.restore(state)
    return {"state": state, "rest": handed_out(other) == whole[1:]}


# --- loss, optimiser, schedule ----------------------------------------------------------------------------------------


@case
def loss() -> Any:
    logits = torch.tensor([[2.0, 0.0], [0.0, 0.0]])
    return float(loss_function()(logits, torch.tensor([0, 1])))


def stepped(name: str, gradients: list[float], **options: Any) -> list[float]:
    """A weight of 1 after each step with these gradients."""
    weight = torch.nn.Parameter(torch.tensor([1.0]))
    optimiser = optimise.make_optimiser(name, [weight], options.get("rate", 0.1), options.get("decay", 0.0), False)
    found = []
    for gradient in gradients:
        weight.grad = torch.tensor([gradient])
        optimiser.step()
        found.append(float(weight.detach()))
    return found


@case
def optimisers() -> Any:
    frozen = torch.nn.Parameter(torch.ones(2), requires_grad=False)
    free = torch.nn.Parameter(torch.ones(2))
    groups = optimise.make_optimiser("adam", [frozen, free], 0.1, 0.0, False).param_groups
    fused = optimise.make_optimiser("adam", [free], 0.1, 0.0, True)
    return {
        "sgd": stepped("sgd", [0.5, 0.5]),
        "adam": stepped("adam", [0.5, -0.25]),
        "sgd, weight decay": stepped("sgd", [0.0], decay=0.5),
        "adam, weight decay": stepped("adam", [0.0], decay=0.5),
        "adamw, weight decay": stepped("adamw", [0.0], decay=0.5),
        "parameters": sum(len(group["params"]) for group in groups),
        "fused": optimise.is_fused(fused),
        "not fused": optimise.is_fused(optimise.make_optimiser("adam", [free], 0.1, 0.0, False)),
    }


def rates(name: str, steps: int) -> list[float]:
    weight = torch.nn.Parameter(torch.ones(1))
    optimiser = optimise.make_optimiser("sgd", [weight], 0.8, 0.0, False)
    schedule = optimise.make_schedule(name, optimiser, 0.8, steps)
    found = []
    for _ in range(steps):
        found.append(float(optimiser.param_groups[0]["lr"]))
        optimiser.step()
        schedule.step()
    return found


@case
def schedules() -> Any:
    made: dict[str, Any] = {name: rates(name, 100) for name in optimise.SCHEDULES}
    made["short"] = {name: rates(name, 1) for name in optimise.SCHEDULES}
    weight = torch.nn.Parameter(torch.ones(1))
    optimiser = optimise.make_optimiser("sgd", [weight], 0.8, 0.0, False)
    made["unknown"] = refusal(optimise.make_schedule, "wave", optimiser, 0.8, 10)
    return made


@case
def clipped() -> Any:
    found = {}
    for norm in (0.0, 1.0, 100.0):
        weights = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
        unused = torch.nn.Parameter(torch.zeros(1))
        weights[0].grad, weights[1].grad = torch.tensor([3.0]), torch.tensor([4.0])
        optimise.clip_gradients([*weights, unused], norm)
        found[str(norm)] = [round(float(w.grad), 4) for w in weights if w.grad is not None]
    return found


@case
def a_clipped_step() -> Any:
    """SGD without history: the weights move by rate times the norm of the gradient."""
    made = images(8)
    moved = {}
    for norm in (0.0, 0.01):
        chosen = settings(optimiser="sgd", schedule="constant", rate=1.0, clip_norm=norm, dropout=0.0)
        step = TrainingStep(build(2, 8, 0.0, 0), chosen, PLAIN, CPU, 10)
        before = flat(step.model)
        step(Preparation((0.5,), (0.2,), chosen, False).for_evaluation(made.pixels), made.labels)
        moved[str(norm)] = float((flat(step.model) - before).norm())
    return moved


@case
def dropout() -> Any:
    model = build(3, 8, 0.5, 0)
    picture = torch.rand(2, 3, 8, 8, generator=seeded(0))
    torch.manual_seed(0)
    while_training = [model.train()(picture).detach() for _ in range(2)]
    judged = [model.eval()(picture).detach() for _ in range(2)]
    none = build(3, 8, 0.0, 0).train()
    return {
        "differs while training": not torch.equal(*while_training),
        "off when it is judged": torch.equal(*judged),
        "0 leaves it out": torch.equal(none(picture), none(picture)),
    }


# --- train ------------------------------------------------------------------------------------------------------------


@case
def trained() -> Any:
    made = run(settings(epochs=6, dropout=0.1))
    made.train()
    return {
        "losses": [line["loss"] for line in made.history],
        "accuracy": made.history[-1]["validation_accuracy"],
        "steps": made.steps,
        "keys": sorted(made.history[0]),
    }


@case
def stopped_early() -> Any:
    """The labels of the validation images are wrong: the better it trains, the worse they are."""
    data = parts()
    wrong = replace(data.validation, labels=1 - data.validation.labels)
    made = run(settings(epochs=40, patience=2, dropout=0.0), data._replace(validation=wrong))
    made.train()
    losses = [line["validation_loss"] for line in made.history]
    best = made.best["epoch"]
    other = run(settings(epochs=3, patience=0, dropout=0.0), data._replace(validation=wrong))
    other.train()
    return {
        "stopped": made.stopped_early,
        "epochs": made.epoch,
        "best": best,
        "is best": losses.index(min(losses)) + 1 == best,
        "without patience": other.epoch,
    }


@case
def diverged() -> Any:
    said = [refusal(run(settings(rate=1e30)).train)]
    data = parts()
    poisoned = data._replace(std=(float("nan"),))
    said.append(refusal(run(settings(), poisoned).train))
    return said


@case
def resumed() -> Any:
    """Stopped after 4 of 9 steps, in mid-epoch; the state goes through a file; another process's random numbers are elsewhere."""
    chosen = settings(optimiser="adamw", weight_decay=0.01, clip_norm=1.0, rotation=5.0, flip=True)
    whole = run(chosen)
    whole.train()
    half = run(chosen)

    def stop(at: Run) -> None:
        if at.steps == 4:
            checkpoint.save(at.state(), SCRATCH / "half.pt")
            raise Stopped("here")

    with contextlib.suppress(Stopped):
        half.train(after_step=stop)
    torch.manual_seed(12345)
    torch.rand(100)
    rest = run(replace(chosen, seed=0))
    state = checkpoint.load(SCRATCH / "half.pt")
    rest.restore(state)
    begun_at = [rest.epoch, rest.steps, rest.batches.position]
    rest.train()
    return {
        "began at": begun_at,
        "steps": [rest.steps, whole.steps],
        "weights": checkpoint.digest(rest.weights()) == checkpoint.digest(whole.weights()),
        "losses": [losses(line) for line in rest.history] == [losses(line) for line in whole.history],
        "optimiser": sorted(state["optimiser"]),
        "keys": sorted(state),
        "without the optimiser": _resumed_without(state, whole, "optimiser"),
        "without the random numbers": _resumed_without(state, whole, "rng"),
        "without the augmentation's": _resumed_without(state, whole, "augmentation_rng"),
        "without the loader's place": _resumed_without(state, whole, "loader"),
        "without the schedule": _resumed_without(state, whole, "schedule"),
    }


def losses(line: dict[str, Any]) -> list[float]:
    return [line["loss"], line["validation_loss"]]


def _resumed_without(state: dict[str, Any], whole: Run, name: str) -> bool:
    """Whether the run still ends with the same bits when this part of the state is lost: each part must matter."""
    fresh = run(whole.settings)
    lost = fresh.state()[name]
    if name == "loader":
        lost = dict(state["loader"], position=0)
    torch.manual_seed(777)
    fresh.restore({**state, name: torch.get_rng_state() if name == "rng" else lost})
    fresh.train()
    return checkpoint.digest(fresh.weights()) == checkpoint.digest(whole.weights())


# --- evaluate ---------------------------------------------------------------------------------------------------------


@case
def scores() -> Any:
    def of(matrix: list[list[int]]) -> dict[str, Any]:
        return evaluate.scores_from(torch.tensor(matrix), 0.5).summary()

    return {
        "perfect": of([[5, 0], [0, 3]]),
        "two classes": of([[8, 2], [1, 9]]),
        "never predicted": of([[4, 0], [6, 0]]),
        "absent class": of([[3, 1, 0], [0, 4, 0], [0, 0, 0]]),
        "empty": of([[0, 0], [0, 0]]),
        "matrix": evaluate.confusion_matrix(torch.tensor([0, 2, 2, 1]), torch.tensor([0, 1, 2, 1]), 3).tolist(),
    }


@case
def random_matrices() -> Any:
    """For a test against scikit-learn: labels and predictions, and our scores of them."""
    rng = random.Random(3)
    found = []
    for classes in (2, 3, 5, 10):
        true = [rng.randrange(classes) for _ in range(200)]
        called = [label if rng.random() < 0.6 else rng.randrange(classes) for label in true]
        matrix = evaluate.confusion_matrix(torch.tensor(called), torch.tensor(true), classes)
        found.append({"true": true, "called": called, "scores": evaluate.scores_from(matrix, 0.0)._asdict()})
    return found


@case
def evaluated() -> Any:
    """A 'model' that says what the pixels say."""

    class Oracle(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            logits = torch.zeros(len(pictures), 3)
            logits[torch.arange(len(pictures)), pictures[:, 0, 0, 0].long()] = 10.0
            return logits * self.weight

    model = Oracle().train()
    pictures = torch.tensor([0.0, 1.0, 2.0, 2.0]).view(4, 1, 1, 1)
    labels = torch.tensor([0, 1, 2, 0])
    made = evaluate.evaluate(model, [(pictures[:3], labels[:3]), (pictures[3:], labels[3:])], 3, loss_function())
    expected = float(loss_function()(model(pictures), labels).detach())
    return {"scores": made._asdict(), "loss off": abs(made.loss - expected), "training again": model.training}


# --- fine-tune --------------------------------------------------------------------------------------------------------


@case
def tuned() -> Any:
    donor = SimpleCNN(classes=5, size=8)
    weights = donor.state_dict()
    found: dict[str, Any] = {}
    for freeze in (True, False):
        model = build(2, 8, 0.5, 3)
        fresh_head = model.fc2.weight.detach().clone()
        finetune.take_backbone(model, weights, "donor.pt")
        taken = all(
            torch.equal(model.state_dict()[name], weights[name]) for name in weights if not name.startswith("fc2")
        )
        if freeze:
            finetune.freeze_backbone(model)
        before = {name: value.detach().clone() for name, value in model.named_parameters()}
        chosen = settings(finetune_from="donor.pt", freeze=freeze, epochs=1, weight_decay=0.1)
        Run(model, parts(), chosen, PLAIN, CPU).train()
        moved = [name for name, value in model.named_parameters() if not torch.equal(before[name], value.detach())]
        found["frozen" if freeze else "all"] = moved
        found["taken"] = taken
        found["head is fresh"] = torch.equal(before["fc2.weight"], fresh_head)
    return found


@case
def backbones_that_do_not_fit() -> Any:
    other_size = SimpleCNN(classes=5, size=16).state_dict()
    odd = dict(other_size, **{"fc1.weight": torch.zeros(4, 300)})
    return {
        "other size": refusal(finetune.take_backbone, build(2, 8, 0.5, 0), other_size, "donor.pt"),
        "no CNN": refusal(finetune.require_backbone, {"layer.weight": torch.zeros(2)}, "resnet.pt"),
        "odd": refusal(finetune.require_backbone, odd, "odd.pt"),
        "size": finetune.size_of(other_size),
    }


# --- checkpoints ------------------------------------------------------------------------------------------------------


class LiteralCNN(torch.nn.Module):  # type: ignore[misc]
    """The article's class as it is printed, of 16 pixels: 128 * 4 * 4 where it has 128 * 56 * 56."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, 64, kernel_size=3, stride=1, padding=1)
        self.conv2 = torch.nn.Conv2d(64, 128, kernel_size=3, stride=1, padding=1)
        self.fc1 = torch.nn.Linear(128 * 4 * 4, 1024)
        self.fc2 = torch.nn.Linear(1024, 1000)
        self.relu = torch.nn.ReLU()
        self.dropout = torch.nn.Dropout(0.5)


@case
def literal_checkpoint() -> Any:
    literal = LiteralCNN()
    torch.save(literal.state_dict(), SCRATCH / "literal.pt")
    model = SimpleCNN(classes=1000, size=16)
    model.load_state_dict(checkpoint.load(SCRATCH / "literal.pt")["model"])
    with torch.device("meta"):
        shapes = {name: list(value.shape) for name, value in SimpleCNN().state_dict().items()}
    return {
        "equal": checkpoint.digest(model.state_dict()) == checkpoint.digest(literal.state_dict()),
        "shapes at 224": shapes,
        "parameters": [parameter_count(), sum(math.prod(shape) for shape in shapes.values())],
    }


@case
def wrapped_checkpoints() -> Any:
    weights = SimpleCNN(classes=2, size=8).state_dict()
    found = {}
    for name, content in {
        "parallel": {"module." + key: value for key, value in weights.items()},
        "compiled": {"_orig_mod." + key: value for key, value in weights.items()},
        "lightning": {"state_dict": dict(weights), "epoch": 3},
    }.items():
        torch.save(content, SCRATCH / "wrapped.pt")
        loaded = checkpoint.load(SCRATCH / "wrapped.pt")["model"]
        found[name] = checkpoint.digest(loaded) == checkpoint.digest(weights)
    return found


class Harmful:
    def __reduce__(self) -> Any:
        return Path.touch, (SCRATCH / "code ran",)


@case
def no_checkpoints() -> Any:
    (SCRATCH / "text.pt").write_text("hello")
    (SCRATCH / "empty.pt").write_bytes(b"")
    torch.save({"model": torch.zeros(3), "note": "x"}, SCRATCH / "dict.pt")
    torch.save([1, 2], SCRATCH / "list.pt")
    torch.save({"a": Harmful()}, SCRATCH / "harmful.pt")
    whole = SCRATCH / "whole.pt"
    torch.save(SimpleCNN(classes=2, size=8).state_dict(), whole)
    (SCRATCH / "cut.pt").write_bytes(whole.read_bytes()[:-5000])
    names = ("text", "empty", "dict", "list", "harmful", "cut", "absent")
    found: dict[str, Any] = {name: refusal(checkpoint.load, SCRATCH / (name + ".pt")) for name in names}
    found["folder"] = refusal(checkpoint.load, SCRATCH)
    found["code ran"] = (SCRATCH / "code ran").exists()
    return found


@case
def digests() -> Any:
    weights = {"a": torch.arange(6.0).view(2, 3), "b": torch.zeros(0)}
    return {
        "the same": checkpoint.digest(weights) == checkpoint.digest({key: weights[key].clone() for key in ("b", "a")}),
        "channels_last": checkpoint.digest({"a": torch.rand(2, 3, 4, 4, generator=seeded(0))})
        == checkpoint.digest({"a": torch.rand(2, 3, 4, 4, generator=seeded(0)).to(memory_format=torch.channels_last)}),
        "a bit": checkpoint.digest(weights) == checkpoint.digest(dict(weights, a=weights["a"] + 1e-6)),
        "a shape": checkpoint.digest(weights) == checkpoint.digest(dict(weights, a=weights["a"].view(3, 2))),
        "a name": checkpoint.digest(weights) == checkpoint.digest({"c": weights["a"], "b": weights["b"]}),
    }


@case
def kept() -> Any:
    """What a run's folder holds, and what it takes, while it trains, at its end, and when it was stopped."""
    folder = RunFolder(SCRATCH / "run")
    told: list[str] = []
    made = run(settings())
    checkpointer = Checkpointer(folder, lambda event, **_fields: told.append(event), every_steps=2)
    made.train(checkpointer.after_step, checkpointer.after_epoch)
    last = checkpoint.load(folder.last)
    sizes = [{path.name: path.stat().st_size for path in folder.path.iterdir()}]
    checkpointer.save_final(made, made.weights(), made.epoch)
    checkpointer.slim(made)
    sizes.append({path.name: path.stat().st_size for path in folder.path.iterdir()})
    again = run(settings())
    again.restore(checkpoint.load(folder.last))
    stopped = run(settings())
    other = Checkpointer(RunFolder(SCRATCH / "stopped"), lambda _event, **_fields: None)
    other.ask_to_stop("SIGTERM")
    try:
        stopped.train(other.after_step, other.after_epoch)
    except Stopped as error:
        reason = str(error)
    final = checkpoint.load(folder.path / "final.pt")
    return {
        "weights": 4 * parameter_count(2, 8),
        "sizes": sizes,
        "checkpoints told": told.count("checkpoint"),
        "last": last["steps"],
        "best": [checkpoint.load(folder.path / "best.pt")["epoch"], made.best["epoch"], made.epoch],
        "links": (folder.path / "final.pt").stat().st_nlink,
        "final": checkpoint.digest(final["model"]) == checkpoint.digest(made.weights()),
        "judged again": checkpoint.digest(again.weights()) == checkpoint.digest(made.weights()),
        "stopped": [reason, checkpoint.load(other.folder.last)["steps"]],
    }


@case
def best_that_is_not_last() -> Any:
    """The validation labels are wrong, so the first epoch is the best one: final.pt must not be best.pt under another name."""
    data = parts()
    made = run(
        settings(dropout=0.0), data._replace(validation=replace(data.validation, labels=1 - data.validation.labels))
    )
    checkpointer = Checkpointer(RunFolder(SCRATCH / "worse"), lambda _event, **_fields: None)
    made.train(checkpointer.after_step, checkpointer.after_epoch)
    checkpointer.save_final(made, made.weights(), made.epoch)
    best, final = (checkpoint.load(SCRATCH / "worse" / name) for name in ("best.pt", "final.pt"))
    return {
        "epochs": [best["epoch"], final["epoch"]],
        "equal": checkpoint.digest(best["model"]) == checkpoint.digest(final["model"]),
        "final": checkpoint.digest(final["model"]) == checkpoint.digest(made.weights()),
    }


# --- the device's first step ------------------------------------------------------------------------------------------


@case
def first_steps() -> Any:
    model = build(2, 8, 0.5, 0)
    made = images(16)
    pictures = Preparation((0.5,), (0.2,), settings(), False).for_evaluation(made.pixels)
    before = checkpoint.digest(model.state_dict())
    found: dict[str, Any] = {}
    for precision in ("fp32", "default", "bf16"):
        compared = first_step.compare_first_step(model, pictures, made.labels, replace(PLAIN, precision=precision), CPU)
        found[precision] = [compared.cosine, compared.relative, first_step.objection(compared, precision)]
    right = first_step.compare_first_step(model, pictures, made.labels, replace(PLAIN, precision="fp32"), CPU)
    nan = float("nan")
    for name, wrong in {
        "loss": right._replace(loss=right.loss * 1.1),
        "nan": right._replace(loss=nan),
        "direction": right._replace(cosine=0.9),
        "cosine nan": right._replace(cosine=nan),
        "silent tf32": right._replace(relative=5e-3),
    }.items():
        found[name] = first_step.objection(wrong, "fp32")
    found["untouched"] = before == checkpoint.digest(model.state_dict())
    found["missing"] = first_step.agreement(torch.ones(3), None)[0]
    found["not finite"] = first_step.agreement(torch.ones(3), torch.tensor([1.0, nan, 1.0]))[0]
    found["turned"] = first_step.agreement(torch.ones(3), -torch.ones(3))
    return found


# --- settings ---------------------------------------------------------------------------------------------------------


@case
def settings_that_cannot_be() -> Any:
    given: list[dict[str, Any]] = [
        {"preset": "fast"}, {"optimiser": "adagrad"}, {"schedule": "wave"}, {"epochs": 0}, {"size": 30}, {"dropout": 1.0},
        {"rate": 0.0}, {"crop": 17}, {"freeze": True}, {"warp": 9},
        {"crop": -2}, {"weight_decay": -1.0}, {"clip_norm": float("nan")}, {"workers": -3}, {"test_share": 2.0},
        {"test_share": 0.6, "validation_share": 0.5}, {"rotation": float("inf")}, {"classes": 0}, {"target_accuracy": 97.0},
        {"rate": float("inf")},
    ]  # fmt: skip
    return [refusal(Settings.from_dict, values) for values in given]


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
