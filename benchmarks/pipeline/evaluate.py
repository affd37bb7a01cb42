"""Evaluate: accuracy, and precision, recall and F1 averaged over the classes, all from the confusion matrix.

precision  of a class: of what was called it, the share that is it       TP / (TP + FP)
recall     of a class: of what is it, the share that was called it       TP / (TP + FN)
F1         their harmonic mean                                           2 TP / (2 TP + FP + FN)

Macro: the plain mean over the classes, so that a rare class counts as much as a frequent one. A class that was never
predicted has precision 0, as in scikit-learn with zero_division=0.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Tuple

import torch
from torch import nn


class Scores(NamedTuple):
    """What an evaluation says; confusion[i][j]: images of class i that were called j."""

    images: int
    loss: float
    accuracy: float
    precision: float
    recall: float
    f1: float
    confusion: List[List[int]]

    def summary(self) -> Dict[str, Any]:
        """All but the matrix."""
        scores = self._asdict()
        del scores["confusion"]
        return scores


def confusion_matrix(predicted: torch.Tensor, labels: torch.Tensor, classes: int) -> torch.Tensor:
    """int64 (classes, classes); rows are the true classes."""
    return torch.bincount(labels * classes + predicted, minlength=classes**2).view(classes, classes)


def scores_from(confusion: torch.Tensor, loss: float) -> Scores:
    """Scores of a confusion matrix. A class that is neither there nor predicted is left out of the means."""
    counts = confusion.double().cpu()
    hit, true, called = counts.diagonal(), counts.sum(1), counts.sum(0)
    seen = (true + called) > 0
    total = float(counts.sum())

    def mean(upper: torch.Tensor, lower: torch.Tensor) -> float:
        share = torch.where(lower > 0, upper / lower.clamp(min=1), torch.zeros_like(upper))
        return float(share[seen].mean()) if bool(seen.any()) else 0.0

    return Scores(
        images=int(total),
        loss=loss,
        accuracy=float(hit.sum()) / total if total else 0.0,
        precision=mean(hit, called),
        recall=mean(hit, true),
        f1=mean(2 * hit, true + called),
        confusion=confusion.cpu().tolist(),
    )


def evaluate(
    model: nn.Module,
    batches: Iterable[Tuple[torch.Tensor, torch.Tensor]],
    classes: int,
    loss_of: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> Scores:
    """Scores of the model over batches of (prepared images, labels) on its device; puts the model back as it was."""
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    confusion = torch.zeros(classes, classes, dtype=torch.int64, device=device)
    loss = torch.zeros((), dtype=torch.float64, device=device)
    count = 0
    with torch.no_grad():
        for images, labels in batches:
            logits = model(images).float()
            loss += loss_of(logits, labels).double() * len(labels)
            confusion += confusion_matrix(logits.argmax(1), labels, classes)
            count += len(labels)
    model.train(was_training)
    return scores_from(confusion, float(loss) / count if count else float("nan"))
