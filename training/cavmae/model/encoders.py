"""What is exported of a CAV-MAE: a graph for each modality, front end inside, and the joint tagger."""

import torch.nn.functional as F
from torch import Tensor, nn

from .cav_mae import CavMae, audio_frontend, visual_frontend
from .config import CavMaeConfig
from .frontend import FbankParams, LogMelParams


def heard_samples(config: CavMaeConfig) -> int:
    """Of one segment: what fills the front end's rows, but no more than a training segment has."""
    if config.audio_stem == "mn04":
        return LogMelParams().samples
    p = FbankParams()
    return min(round(config.seconds * p.sample_rate), p.window + (config.frames - 1) * p.hop)


class AudioEncoder(nn.Module):
    """samples [B, T], lengths [B] -> what `outputs` names: embedding [B, D], tokens, tower [B, N, D], logits [B, C].

    `missing` tags by a head that was tuned on both modalities together.
    """

    def __init__(self, model: CavMae, outputs: tuple[str, ...], missing: bool = False):
        super().__init__()
        self.frontend, self.model = audio_frontend(model.config), model
        self.outputs, self.missing = outputs, missing

    def forward(self, samples: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        return _results(self, "a", *self.model.encode_audio(self.frontend(samples, lengths)))


class VisualEncoder(nn.Module):
    """frames uint8 [B, H, W, 3] -> the same."""

    def __init__(self, model: CavMae, outputs: tuple[str, ...], missing: bool = False):
        super().__init__()
        self.frontend, self.model = visual_frontend(model.config), model
        self.outputs, self.missing = outputs, missing

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        return _results(self, "v", *self.model.encode_visual(self.frontend(frames)))


class JointTagger(nn.Module):
    """What leaves both towers -> logits [B, C]."""

    def __init__(self, model: CavMae):
        super().__init__()
        self.model = model

    def forward(self, audio_tower: Tensor, visual_tower: Tensor) -> Tensor:
        return self.model.classify(self.model.encode_joint(audio_tower, visual_tower))


def _results(encoder: AudioEncoder | VisualEncoder, stream: str, tokens: Tensor, tower: Tensor) -> tuple[Tensor, ...]:
    model = encoder.model
    made = {
        "embedding": lambda: F.normalize(tokens.mean(dim=1), dim=-1),
        "tokens": lambda: tokens,
        "logits": lambda: model.classify_missing(tower, stream) if encoder.missing else model.classify(tokens),
        "tower": lambda: tower,
    }
    return tuple(made[name]() for name in encoder.outputs)
