"""One process or many under torchrun: who computes which rows, and what is exchanged."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Joins the group that torchrun announces, where there is one: nccl on CUDA, gloo on a CPU. All leave together."""
    if "WORLD_SIZE" not in os.environ:
        yield
        return
    if device.type == "cuda":
        dist.init_process_group("nccl", device_id=device)
    else:
        dist.init_process_group("gloo")
    try:
        yield
        dist.barrier()
    finally:
        dist.destroy_process_group()


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def own_rows(batch: int) -> range:
    """This rank's rows of a global batch."""
    if batch % world_size():
        raise ValueError(f"Expected a batch that {world_size()} processes can share evenly, got {batch}")
    count = batch // world_size()
    return range(rank() * count, (rank() + 1) * count)


def gather_rows(x: Tensor) -> Tensor:
    """The rows of all ranks, in order, with their gradients.                         [B, D] -> [ranks * B, D]"""
    return _Gather.apply(x) if world_size() > 1 else x


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        parts = [torch.empty_like(x) for _ in range(world_size())]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        # Every rank's loss looked at this rank's rows: their gradients add up here.
        grad = grad.contiguous()
        dist.all_reduce(grad)
        return grad.chunk(world_size())[rank()]


def mean_over_ranks(x: Tensor) -> Tensor:
    if world_size() > 1:
        dist.all_reduce(x)
    return x / world_size()
