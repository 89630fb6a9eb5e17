"""What a training step computes: a model behind its front ends."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from ..data.sources import Batch
from ..model.cav_mae import CavMae, audio_frontend, visual_frontend
from ..model.config import CavMaeConfig


class FrontEnds(nn.Module):
    """Batch -> normalised fbank [B, time, mel] and images [B * F, 3, H, W], by the front ends that are exported."""

    def __init__(self, config: CavMaeConfig):
        super().__init__()
        self.audio, self.visual = audio_frontend(replace(config, frames=config.rows)), visual_frontend(config)

    @torch.no_grad()
    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        with torch.autocast(batch.samples.device.type, enabled=False):
            fbank = self.audio(batch.samples, batch.lengths) if batch.fbank is None else batch.fbank
            return fbank, self.visual(batch.frames.flatten(0, 1))


class Task(nn.Module):
    """`model` is what is exported; other trained parts serve the training alone."""

    def __init__(self, model: CavMae, head_lr: float = 1.0):
        super().__init__()
        self.model, self.frontends = model, FrontEnds(model.config)
        self.head_lr = head_lr  # of the tagging head, times the learning rate

    def forward(self, batch: Batch, step: int, rows: range) -> dict[str, Tensor]:
        """Terms of the loss, `total` among them. What is random in it is a function of the seed, the step, the row."""
        raise NotImplementedError
