"""Change of sample rate as ffmpeg does it by default, so that sound decoded here and sound decoded there agree."""

import functools
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

TAPS = 32  # of the sinc, at the lower of both rates
BETA = 9.0  # of the Kaiser window
CUTOFF = 0.97  # of the lower Nyquist frequency, when it is lower than before
MOST_WEIGHTS = 1_000_000  # of all filters: 44.1 kHz to 16 kHz takes 85 000


def is_simple(before: int, after: int) -> bool:
    """Whether the ratio of the rates takes few enough filters: 44 101 to 16 000 Hz would take a gigabyte of them."""
    return before * after // math.gcd(before, after) ** 2 <= MOST_WEIGHTS


def resample(samples: np.ndarray, before: int, after: int) -> np.ndarray:
    """Windowed-sinc interpolation, one filter for each phase of the output.              [n] -> [n * after / before]"""
    if before == after or len(samples) == 0:
        return samples
    kernels, left = _kernels(before, after)
    up, stride = kernels.shape[0], before // math.gcd(before, after)
    count = math.ceil(len(samples) * after / before)
    windows = math.ceil(count / up)
    right = max(0, (windows - 1) * stride + kernels.shape[2] - left - len(samples))
    padded = F.pad(torch.from_numpy(samples)[None, None], (left, right))
    phases = F.conv1d(padded, kernels, stride=stride)[0, :, :windows]  # [up, windows]
    return phases.T.reshape(-1)[:count].numpy()


@functools.cache
def _kernels(before: int, after: int) -> tuple[Tensor, int]:
    """Filters [up, 1, width], and how far they reach to the left of a window's first sample."""
    divisor = math.gcd(before, after)
    up, down = after // divisor, before // divisor
    factor = min(1.0, CUTOFF * after / before)
    half = math.ceil(TAPS / factor / 2)
    offset = torch.arange(-half, down + half, dtype=torch.float64)  # from the window's first sample
    time = offset[None] - torch.arange(up)[:, None] * down / up  # [up, width]
    window = torch.special.i0(BETA * (1 - (time / half).square()).clamp_min(0).sqrt()) * (time.abs() <= half)
    kernel = torch.sinc(time * factor) * window
    return (kernel / kernel.sum(1, keepdim=True)).float()[:, None], half
