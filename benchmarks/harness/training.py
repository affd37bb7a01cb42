"""What the workloads that train have in common: a step, its dtype policy, its figures."""

from __future__ import annotations

import inspect
from typing import Any, Callable, Dict, List, Optional

import torch

from benchmarks.harness import precision
from benchmarks.harness.context import Context
from benchmarks.harness.device import Device
from benchmarks.harness.timing import Timing


def fused(optimiser: Any, device: Device) -> Dict[str, bool]:
    """{'fused': True} where this torch's optimiser has a fused form for the device, or nothing."""
    if "fused" not in inspect.signature(optimiser).parameters:
        return {}
    # torch 2.0 fuses on CUDA only; on CPUs from 2.4 on.
    if not device.is_cuda and tuple(int(part) for part in torch.__version__.split(".")[:2]) < (2, 4):
        return {}
    return {"fused": True}


def train_step(
    device: Device,
    network: Any,
    optimiser: Any,
    loss_of: Callable[[Any], Any],
    dtype: str,
    losses: List[Any],
) -> Callable[[], Any]:
    """A step: gradients to None, forward under autocast, backward, update. No synchronisation in it.

    loss_of: the network to its loss. losses: keeps the last step's loss, as a tensor on the device.
    """
    scaler = None
    if dtype == "fp16":
        # torch >= 2.3 has the general one, and calls the other deprecated.
        general = getattr(torch.amp, "GradScaler", None)
        scaler = general("cuda") if general is not None else torch.cuda.amp.GradScaler()

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        with precision.autocast(device.torch_device, dtype):
            loss = loss_of(network)
        if scaler is None:
            loss.backward()
            optimiser.step()
        else:
            scaler.scale(loss).backward()
            scaler.step(optimiser)
            scaler.update()
        losses[:] = [loss.detach()]

    return step


def forward_flops(network: Any, sample: Any) -> int:
    """FLOP of the convolutions and linear layers in one forward pass of `sample`; a multiply and an add are two."""
    counted: List[int] = []

    def count(module: Any, inputs: Any, output: Any) -> None:
        if isinstance(module, torch.nn.Conv2d):
            kernel = module.kernel_size[0] * module.kernel_size[1] * module.in_channels // module.groups
            counted.append(2 * output.numel() * kernel)
        else:
            counted.append(2 * output.numel() * module.in_features)

    hooks = [
        module.register_forward_hook(count)
        for module in network.modules()
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear))
    ]
    try:
        with torch.no_grad():
            network(sample)
    finally:
        for hook in hooks:
            hook.remove()
    return sum(counted)


def figures(
    context: Context, timing: Timing, flop: float, items: float, unit: str, dtype: str, loss: Optional[Any]
) -> Dict[str, Dict[str, Any]]:
    """throughput (items/s), step (ms), mfu (%: of the matmul ceiling measured in this run), peak_memory (GB), cold_start (s)."""
    context.bound(lambda: flop / context.ceilings.matmul(dtype), timing)
    ceiling = context.ceilings.matmul(dtype)
    what = "the {} matmul ceiling".format(dtype)
    metrics = {
        "throughput": context.metric(timing, unit, lambda s: items / s, "higher", items * ceiling / flop, what),
        "step": context.metric(timing, "ms", lambda s: 1e3 * s, "lower"),
        "mfu": context.metric(timing, "%", lambda s: 100 * flop / s / ceiling),
    }
    if timing.cold_start_s is not None:
        metrics["cold_start"] = context.once(timing.cold_start_s, "s", "lower")
    peak = context.device.peak_bytes()
    if peak is not None:
        metrics["peak_memory"] = context.figure(peak / 1e9, "GB", "lower")
    if loss is not None and not bool(torch.isfinite(loss).all()):
        context.wrong("non-finite loss: {}".format(float(loss)))
    return metrics
