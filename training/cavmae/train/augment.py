"""What training does to its samples (SPEC 1.5): mixing of neighbours, masked bands, noise, roll, smoothed labels."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..model.config import CavMaeConfig
from ..model.frontend import FbankParams
from ..randomness import RowRandom


@dataclass(frozen=True)
class PerturbOptions:
    """Of the normalised filterbank, in pretraining and in fine-tuning."""

    noise: bool = True
    roll: bool = True  # round in time


@dataclass(frozen=True)
class AugmentOptions:
    """Of fine-tuning."""

    mixup: float = 0.5  # share of the samples that are mixed with their neighbour
    freq_mask: int = 48  # mel bins hidden at most
    time_mask: int = 192  # frames hidden at most
    label_smoothing: float = 0.1


@dataclass(frozen=True)
class Mix:
    """How much of itself each row keeps; the rest is its neighbour's."""

    share: Tensor  # [B] 1 where a row is not mixed

    def partner(self, x: Tensor) -> Tensor:
        """The other row of each pair (0, 1), (2, 3), ...: all of a batch stay together, however it is shared out."""
        return x.unflatten(0, (-1, 2)).flip(1).flatten(0, 1)

    def blend(self, x: Tensor) -> Tensor:
        if (self.share == 1).all():
            return x
        share = self.share.to(x.device).reshape(-1, *[1] * (x.ndim - 1))
        return torch.where(share < 1, share * x + (1 - share) * self.partner(x), x)


def draw_mix(random: RowRandom, probability: float) -> Mix:
    """Of a mixed row, Beta(10, 10) is its own."""
    if probability and len(random.streams) % 2:
        raise ValueError(f"Expected an even batch in each process for mixup, got {len(random.streams)}")
    mixed = random.uniform() < probability
    return Mix(torch.where(mixed, random.beta(10, 10), 1.0))


def mix_sounds(samples: Tensor, lengths: Tensor, mix: Mix) -> Tensor:
    """Both without their mean, the second cut or filled up to the first's length, and centred again.     [B, T]"""
    mixed = centre(mix.blend(centre(samples, lengths)), lengths)
    return torch.where(mix.share.to(samples.device)[:, None] < 1, mixed, samples)


def centre(samples: Tensor, lengths: Tensor) -> Tensor:
    """Mean 0 over each row's own length, zeros behind it."""
    within = torch.arange(samples.shape[1], device=samples.device) < lengths[:, None]
    inside = torch.where(within, samples, 0.0)
    return torch.where(within, inside - inside.sum(1, keepdim=True) / lengths.clamp_min(1)[:, None], 0.0)


def soft_labels(labels: Tensor, smoothing: float, mix: Mix) -> Tensor:
    """Unmixed, a class that is there is set to 1 - smoothing; mixed, its share is added to the floor.    [B, C]"""
    floor = smoothing / labels.shape[1]
    mixed = floor + (1 - smoothing) * mix.blend(labels)
    plain = torch.where(labels > 0, (1 - smoothing) * labels, floor)
    return torch.where(mix.share.to(labels.device)[:, None] < 1, mixed, plain)


def hide_bands(fbank: Tensor, random: RowRandom, options: AugmentOptions, silence: float) -> Tensor:
    """SpecAugment: one band of frequencies, then one of time, becomes what 0.0 is after the norm.  [B, time, mel]"""
    time, mel = fbank.shape[1:]
    hidden = band(random, mel, options.freq_mask)[:, None] | band(random, time, options.time_mask)[:, :, None]
    return torch.where(hidden.to(fbank.device), silence, fbank)


def band(random: RowRandom, size: int, limit: int) -> Tensor:
    """True in one run of less than `limit` of `size` places.                                             [B, size]"""
    width = random.uniform(1) * limit
    start = (random.uniform(1) * (size - width)).int()
    place = torch.arange(size)
    return (place >= start) & (place < start + width.int())


def perturb(fbank: Tensor, random: RowRandom, options: PerturbOptions) -> Tensor:
    """Noise of a random level up to 0.1, then a roll in time.                                      [B, time, mel]"""
    if options.noise:
        level = random.uniform(1, 1).to(fbank.device) / 10
        fbank = fbank + level * random.noise(*fbank.shape[1:], device=fbank.device)
    if options.roll:
        time = fbank.shape[1]
        source = (torch.arange(time) - random.integers(-time, time)[:, None]) % time
        fbank = fbank.gather(1, source.to(fbank.device)[:, :, None].expand(-1, -1, fbank.shape[2]))
    return fbank


def silence_level(config: CavMaeConfig) -> float:
    """What 0.0 of the un-normalised log-mel is for the network."""
    kaldi = FbankParams()
    return 4.5 / 5.0 if config.audio_stem == "mn04" else -kaldi.mean / kaldi.std
