"""Random numbers of a training step as a function of (seed, step, row): they need no state to resume from, and are the
same whichever process computes a row."""

import zlib
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor


class RowRandom:
    """One stream of random numbers for each row of a step; another `purpose` gives an independent stream."""

    def __init__(self, seed: int, step: int, rows: range, purpose: str):
        key = zlib.crc32(purpose.encode())
        self.streams = [np.random.default_rng((seed, step, row, key)) for row in rows]

    def uniform(self, *shape: int) -> Tensor:
        """In [0, 1).                                                                     [B, *shape]"""
        return self._drawn(lambda stream: stream.random(shape, np.float32))

    def noise(self, *shape: int, device: torch.device) -> Tensor:
        """The same in bulk, made where it is used; it depends on the kind of device.     [B, *shape]"""
        generator = torch.Generator(device)
        rows = [
            torch.rand(shape, generator=generator.manual_seed(int(stream.integers(2**63))), device=device)
            for stream in self.streams
        ]
        return torch.stack(rows)

    def integers(self, low: int, high: int) -> Tensor:
        """From low to high - 1.                                                          [B]"""
        return self._drawn(lambda stream: stream.integers(low, high))

    def beta(self, a: float, b: float) -> Tensor:  # [B]
        return self._drawn(lambda stream: np.float32(stream.beta(a, b)))

    def _drawn(self, draw: Callable[[np.random.Generator], np.ndarray]) -> Tensor:
        return torch.from_numpy(np.stack([draw(stream) for stream in self.streams]))
