"""Golden numbers: what the graphs say of inputs that any language can make."""

from pathlib import Path

import numpy as np

from ..media.shape import SegmentShape
from .answers import Segments, answers

GOLDEN_ATOL = 1e-3


def golden_samples(rate: int, size: int, length: int) -> np.ndarray:
    """A rising tone, then silence.                                                       float32 [size]"""
    t = np.arange(size, dtype=np.float64) / rate
    tone = 0.3 * np.sin(2 * np.pi * (200 + 300 * t) * t)
    return np.where(np.arange(size) < length, tone, 0.0).astype(np.float32)


def golden_frame(height: int, width: int) -> np.ndarray:
    """uint8 [H, W, 3]"""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    return ((3 * y + 5 * x + 85 * c + ((x * y) >> 4)) & 255).astype(np.uint8)


def golden(folder: Path, shape: SegmentShape, tagging_from: tuple[str, ...]) -> dict:
    """What a bundle's graphs say of the golden segment, its sound 7 s long or as long as a shorter segment."""
    length = min(7 * shape.sample_rate, shape.samples)
    samples = golden_samples(shape.sample_rate, shape.samples, length)[None]
    segment = Segments(samples, np.array([length], np.int64), golden_frame(shape.height, shape.width)[None])
    result: dict = {"atol": GOLDEN_ATOL}
    for name, outputs in answers(folder, segment).items():
        wanted = {"embedding", *(("logits",) if name in tagging_from else ())}
        numbers = {w: [float(f"{x:.7g}") for x in v[0]] for w, v in outputs.items() if w in wanted}
        result[name] = {"length": length, **numbers} if name == "audio" else numbers
    return result
