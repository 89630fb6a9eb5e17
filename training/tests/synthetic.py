"""A source of pairs that can be learnt: a pitch goes with a stripe and a tint."""

import dataclasses

import numpy as np
import torch
from torch import Tensor

from cavmae.data.pack import Skips
from cavmae.data.sources import Batch, segment_shape
from cavmae.model.config import SIZES, CavMaeConfig
from cavmae.randomness import RowRandom

CLASSES = 4
MICRO = dataclasses.replace(
    SIZES["tiny"], dim=48, tower_depth=1, frames=128, segment_frames=128, seconds=1.28, image=64, contrast_weight=1.0
)


class Stripes:
    """Every class once in four rows, in an order of the step's own: its pitch, faintly noisy, and its picture."""

    def __init__(self, config: CavMaeConfig = MICRO, size: int = CLASSES, grouped: bool = False):
        self.shape, self.size, self.skips = segment_shape(config, config.windows), size, Skips()
        self.grouped = grouped  # classes 0 and 1 belong together, so do 2 and 3
        self.labels = [{"index": i, "mid": f"/m/{i}", "name": f"class {i}"} for i in range(CLASSES)]

    def batch(self, step: int, rows: slice) -> Batch:
        own, random = range(self.size)[rows], np.random.default_rng(step)
        order = np.concatenate([random.permutation(CLASSES) for _ in range(self.size // CLASSES)])
        classes = torch.from_numpy(order[rows])
        return Batch(
            self.sounds(classes, RowRandom(0, step, own, "stripes")),
            torch.full_like(classes, self.shape.samples),
            self.pictures(classes),
            torch.ones(len(own), dtype=torch.bool),
            torch.eye(CLASSES)[classes],
            classes // 2 if self.grouped else torch.full_like(classes, -1),
        )

    def sounds(self, classes: Tensor, random: RowRandom) -> Tensor:
        time = torch.arange(self.shape.samples) / self.shape.sample_rate
        pitch = 300.0 * 2.0 ** classes[:, None]  # Hz
        return 0.5 * torch.sin(2 * torch.pi * pitch * time) + 0.1 * random.uniform(self.shape.samples)

    def pictures(self, classes: Tensor) -> Tensor:
        height, width = self.shape.height, self.shape.width
        stripe = torch.arange(height) * CLASSES // height == classes[:, None]  # [B, H]
        picture = 30 * classes[:, None] + 120 * stripe
        picture = picture[:, None, :, None, None].expand(-1, self.shape.frames, -1, width, 3)
        return picture.to(torch.uint8).contiguous()  # [B, F, H, W, 3]
