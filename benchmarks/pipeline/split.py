"""Split: stratified and seeded, so that each part holds each class in its share and the same seed gives the same parts."""

from __future__ import annotations

from typing import List, Sequence, Tuple

import torch

from benchmarks.pipeline.errors import PipelineError

PARTS = ("train", "validation", "test")


def stratified_split(
    labels: torch.Tensor, fractions: Sequence[float], seed: int, classes: Sequence[str] = ()
) -> Tuple[torch.Tensor, ...]:
    """Indices of the parts, one more than `fractions`: the first part takes what the others leave.

    labels: int64 (N,). fractions: each other part's share of every class, rounded, at least one image where the class can
    spare it. classes: their names, for the error. Raises PipelineError where a class has too few images to be in every part.
    """
    generator = torch.Generator().manual_seed(seed)
    parts: List[List[torch.Tensor]] = [[] for _ in range(len(fractions) + 1)]
    for label in labels.unique().tolist():
        members = (labels == label).nonzero().flatten()
        if len(members) < len(parts):
            raise PipelineError(
                "class {} has {} image{}, too few for {} parts: each part ({}) needs one of every class. Add images, or leave "
                "the class out".format(
                    _name(label, classes),
                    len(members),
                    "" if len(members) == 1 else "s",
                    len(parts),
                    ", ".join(PARTS[: len(parts)]),
                )
            )
        members = members[torch.randperm(len(members), generator=generator)]
        end = len(members)
        for position, fraction in enumerate(fractions, start=1):
            # Later parts and the first one must still get their one image.
            most = end - (len(fractions) - position) - 1
            take = min(max(1, round(len(labels[labels == label]) * fraction)), most)
            parts[position].append(members[end - take : end])
            end -= take
        parts[0].append(members[:end])
    return tuple(torch.cat(part).sort().values for part in parts)


def few_labels(labels: torch.Tensor, per_class: int, seed: int, classes: Sequence[str] = ()) -> torch.Tensor:
    """Indices of that many images of each class, drawn with the seed. Raises PipelineError where a class has fewer."""
    generator = torch.Generator().manual_seed(seed)
    chosen = []
    for label in labels.unique().tolist():
        members = (labels == label).nonzero().flatten()
        if len(members) < per_class:
            raise PipelineError(
                "class {} has {} image{} to train on, not {}".format(
                    _name(label, classes), len(members), "" if len(members) == 1 else "s", per_class
                )
            )
        chosen.append(members[torch.randperm(len(members), generator=generator)[:per_class]])
    return torch.cat(chosen).sort().values


def _name(label: int, classes: Sequence[str]) -> str:
    return repr(classes[label]) if classes else str(label)
