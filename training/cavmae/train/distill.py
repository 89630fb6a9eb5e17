"""Distillation for small data: what frozen taggers make of the same batch, told to the pooled streams."""

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data.audioset import CLASSES, audioset_map
from ..data.sources import Batch
from ..model.frontend import LogMel, LogMelParams, lite_pixels
from ..model.stems import EfficientNetLite, Mn04, efficientnet_lite, mn04


@dataclass(frozen=True)
class DistillOptions:
    """Weights of the terms beside CAV-MAE's own losses; 0 = none."""

    feature_weight: float = 0.0  # 1 - cosine to the teacher's pooled features
    label_weight: float = 0.0  # cross-entropy to the teacher's AudioSet probabilities

    @property
    def active(self) -> bool:
        return self.feature_weight > 0 or self.label_weight > 0


@dataclass(frozen=True)
class Lesson:
    """What a teacher says of one modality."""

    features: Tensor  # [N, width]
    probabilities: Tensor  # [N, 527]


class AudioTeacher(nn.Module):
    """mn04 on sound of any rate."""

    def __init__(self, net: Mn04, sample_rate: int):
        super().__init__()
        self.frontend, self.net, self.sample_rate = LogMel(), net, sample_rate

    def forward(self, samples: Tensor, lengths: Tensor) -> Lesson:
        factor = LogMelParams().sample_rate / self.sample_rate
        mel = self.frontend(_stretch(samples, round(samples.shape[1] * factor)), (lengths * factor).long())
        pool = self.net(mel).mean(dim=1)
        return Lesson(pool, self.net.classifier(pool).sigmoid())


class VisualTeacher(nn.Module):
    """EfficientNet-Lite; its ImageNet classes as what they sound like."""

    def __init__(self, net: EfficientNetLite):
        super().__init__()
        self.frontend, self.net = lite_pixels(), net
        self.register_buffer("table", torch.from_numpy(audioset_map()), persistent=False)  # [1000, 527]

    def forward(self, frames: Tensor) -> Lesson:  # uint8 [N, H, W, 3]
        pool = self.net(self.frontend(frames)).mean(dim=1)
        return Lesson(pool, self.net.classifier(pool).softmax(dim=-1) @ self.table)


class Teachers(nn.Module):
    """Frozen: they stay in their evaluation form and take no gradients."""

    def __init__(self, weights: Path, sample_rate: int):
        super().__init__()
        self.audio = AudioTeacher(mn04(weights), sample_rate)
        self.visual = VisualTeacher(efficientnet_lite(0))
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "Teachers":
        return super().train(False)

    @torch.no_grad()
    def forward(self, batch: Batch) -> tuple[Lesson, Lesson]:
        with torch.autocast(batch.samples.device.type, enabled=False):
            return self.audio(batch.samples, batch.lengths), self.visual(batch.frames.flatten(0, 1))


class Pupil(nn.Module):
    """Maps of one pooled stream to its teacher's features and labels; trained, never exported."""

    def __init__(self, dim: int, width: int):
        super().__init__()
        self.features, self.labels = nn.Linear(dim, width), nn.Linear(dim, CLASSES)

    def forward(self, pooled: Tensor, lesson: Lesson) -> tuple[Tensor, Tensor]:
        distance = 1 - F.cosine_similarity(self.features(pooled), lesson.features, dim=-1).mean()
        return distance, F.binary_cross_entropy_with_logits(self.labels(pooled), lesson.probabilities)


class Pupils(nn.Module):
    """Both streams' distance to their teachers."""

    def __init__(self, dim: int, options: DistillOptions):
        super().__init__()
        self.audio, self.visual = Pupil(dim, Mn04.width), Pupil(dim, EfficientNetLite.width)
        self.options = options

    def forward(self, pooled: tuple[Tensor, Tensor], lessons: tuple[Lesson, Lesson]) -> dict[str, Tensor]:
        """`features` and `labels`, and their weighted sum as `total`."""
        parts = self.audio(pooled[0], lessons[0]), self.visual(pooled[1], lessons[1])
        features, labels = ((a + v) / 2 for a, v in zip(*parts, strict=True))
        total = self.options.feature_weight * features + self.options.label_weight * labels
        return {"total": total, "features": features, "labels": labels}


def _stretch(samples: Tensor, count: int) -> Tensor:
    """The same band-limited signal in `count` samples.                                   [B, T] -> [B, count]"""
    if count == samples.shape[1]:
        return samples
    return torch.fft.irfft(torch.fft.rfft(samples), n=count) * (count / samples.shape[1])
