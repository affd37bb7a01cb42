"""One training step: forward, loss, backward, clip, optimiser, schedule.

The article's loop, in its order:

    optimizer.zero_grad()
    outputs = model(images)
    loss = criterion(outputs, labels)
    loss.backward()
    optimizer.step()
    running_loss += loss.item()
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, Optional, Tuple

import torch
from torch import nn

from benchmarks.harness import failures, precision
from benchmarks.pipeline import optimise
from benchmarks.pipeline.model import loss_function
from benchmarks.pipeline.settings import Knobs, Settings, set_fp32_policy


class TrainingStep:
    """A model and its optimiser on a device: call it with prepared images and labels."""

    def __init__(self, model: nn.Module, settings: Settings, knobs: Knobs, device: torch.device, steps: int) -> None:
        """steps: of the whole run, for the schedule. The model is moved to the device."""
        set_fp32_policy(knobs.precision)
        memory_format = torch.channels_last if knobs.channels_last else torch.contiguous_format
        # Weights in channels_last spare cuDNN and oneDNN a copy a step.
        self.model: nn.Module = model.to(device=device, memory_format=memory_format)
        self.device, self.knobs, self.clip_norm = device, knobs, settings.clip_norm
        self.loss_of = loss_function()
        self.optimiser = optimise.make_optimiser(
            settings.optimiser, self.model.parameters(), settings.rate, settings.weight_decay, knobs.fused
        )
        self.schedule = optimise.make_schedule(settings.schedule, self.optimiser, settings.rate, steps)
        # Gradients below 6e-8 vanish in fp16: the loss is scaled up, and the gradients down again before the step.
        self.scaler: Optional[Any] = None
        if knobs.precision == "fp16" and device.type == "cuda":
            self.scaler = torch.cuda.amp.GradScaler()
        self._forward: Any = self.model
        self._to_compile = knobs.compiled
        self.uncompiled_because = ""
        """Why torch.compile was asked for and is not used: then `knobs` says so too."""

    def __call__(self, images: torch.Tensor, labels: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
        """(loss, number of images called rightly), both on the device and not waited for."""
        return self._compiling(images, labels) if self._to_compile else self._step(images, labels)

    def _compiling(self, images: torch.Tensor, labels: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
        """The first step, compiled; where nothing can compile here (no compiler, no Triton), as it is."""
        self._to_compile = False
        try:
            self._forward = torch.compile(self.model)
            return self._step(images, labels)
        except Exception as error:
            why = failures.why_not_compiled(error)
            if not why:
                raise
            self._forward, self.uncompiled_because = self.model, why
            self.knobs = replace(self.knobs, compiled=False)
        return self._step(images, labels)

    def _step(self, images: torch.Tensor, labels: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
        self.optimiser.zero_grad(set_to_none=True)
        with precision.autocast(self.device, self.knobs.precision):
            logits = self._forward(images)
            loss = self.loss_of(logits, labels)
        if self.scaler is None:
            loss.backward()
            optimise.clip_gradients(self.model.parameters(), self.clip_norm)
            self.optimiser.step()
        else:
            self.scaler.scale(loss).backward()
            if self.clip_norm > 0:
                self.scaler.unscale_(self.optimiser)
                optimise.clip_gradients(self.model.parameters(), self.clip_norm)
            self.scaler.step(self.optimiser)
            self.scaler.update()
        self.schedule.step()
        return loss.detach(), (logits.detach().argmax(1) == labels).sum()

    @property
    def rate(self) -> float:
        return float(self.optimiser.param_groups[0]["lr"])

    def state(self) -> Dict[str, Any]:
        """All that the steps to come depend on, but for the data."""
        cuda = self.device.type == "cuda"
        return {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": _plain(self.schedule.state_dict()),
            "scaler": None if self.scaler is None else self.scaler.state_dict(),
            # Dropout draws from these.
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state(self.device) if cuda else None,
        }

    def restore(self, state: Dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        if state["optimiser"] is not None:  # of a run that has come to its end, nothing depends on it
            self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        if self.scaler is not None and state["scaler"] is not None:
            self.scaler.load_state_dict(state["scaler"])
        torch.set_rng_state(state["rng"])
        if self.device.type == "cuda" and state["cuda_rng"] is not None:
            torch.cuda.set_rng_state(state["cuda_rng"], self.device)


def _plain(state: Dict[str, Any]) -> Dict[str, Any]:
    """A scheduler's state without the functions that it carries along: a checkpoint holds data only."""
    return {name: value for name, value in state.items() if _is_data(value)}


def _is_data(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_is_data(item) for item in value)
    if isinstance(value, dict):
        return all(_is_data(item) for item in value.values())
    return value is None or isinstance(value, (bool, int, float, str, torch.Tensor))


def flat_gradients(model: nn.Module) -> Dict[str, torch.Tensor]:
    """The gradient of every trained parameter by name: flat, fp32, on the CPU."""
    return {
        name: parameter.grad.detach().float().cpu().flatten()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }
