"""CAV-MAE Sync (Araujo et al., CVPR 2025): short windows of sound, each with its own picture.

A class token carries the contrast and the patches the reconstruction, so that neither spoils the other; registers are
scratch room of the towers. In a tower stand the class token, the visible patches, the registers; class token and
registers have neither a position nor a modality vector.
"""

import torch
from torch import Tensor, nn

from .cav_mae import CavMae
from .config import CavMaeConfig


class CavMaeSync(CavMae):
    """Encodes one window of sound, [B, frames, mel]; what a tower gives is the class token, then the patches."""

    def __init__(self, config: CavMaeConfig):
        super().__init__(config)
        self.cls_token_a = nn.Parameter(0.02 * torch.randn(1, 1, config.dim))
        self.cls_token_v = nn.Parameter(0.02 * torch.randn(1, 1, config.dim))
        self.register_tokens = nn.Parameter(0.02 * torch.randn(2 * config.registers, config.dim))  # audio's, visual's

    def tower_a(self, tokens: Tensor) -> Tensor:  # [B, n, D] -> [B, 1 + n, D]
        registers = self.register_tokens[: self.config.registers]
        return super().tower_a(_framed(self.cls_token_a, tokens, registers))[:, : 1 + tokens.shape[1]]

    def tower_v(self, tokens: Tensor) -> Tensor:
        registers = self.register_tokens[self.config.registers :]
        return super().tower_v(_framed(self.cls_token_v, tokens, registers))[:, : 1 + tokens.shape[1]]

    def shared(self, x: Tensor, stream: str = "") -> Tensor:
        """Of a modality's own stream the class token alone, [B, 1, D]; of the joint stream all that came."""
        tokens = super().shared(x, stream)
        return tokens[:, :1] if stream else tokens

    def encode_joint(self, tower_a: Tensor, tower_v: Tensor) -> Tensor:
        """Patches only: the class tokens take no part in reconstruction."""
        return super().encode_joint(tower_a[:, 1:], tower_v[:, 1:])


def _framed(cls: Tensor, tokens: Tensor, registers: Tensor) -> Tensor:
    batch = tokens.shape[0]  # len() would fix it in an exported graph
    return torch.cat([cls.expand(batch, -1, -1), tokens, registers.expand(batch, -1, -1)], dim=1)


def build(config: CavMaeConfig) -> CavMae:
    """The model that a config describes."""
    return CavMaeSync(config) if config.kind == "sync" else CavMae(config)


def window_starts(total: int, length: int, count: int) -> list[int]:
    """First frames of `count` windows, centred on even steps through `total` frames and kept inside them."""
    centres = (round(i * total / count) for i in range(count))
    return [min(max(0, centre - length // 2), total - length) for centre in centres]


def windows(fbank: Tensor, length: int, count: int) -> Tensor:
    """Windows of a whole segment's filterbank.                          [B, total, mel] -> [B, count, length, mel]"""
    starts = window_starts(fbank.shape[1], length, count)
    return torch.stack([fbank[:, start : start + length] for start in starts], dim=1)
