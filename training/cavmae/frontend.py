"""Front ends that live inside the exported graphs: samples or pixels in, network input out."""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class FbankParams:
    """Kaldi filterbank of CAV-MAE (SPEC 1.2)."""

    sample_rate: int = 16_000  # Hz
    window: int = 400  # samples, 25 ms
    hop: int = 160  # samples, 10 ms
    fft: int = 512
    mel_bins: int = 128
    low_hz: float = 20.0
    high_hz: float = 8_000.0
    preemphasis: float = 0.97
    floor: float = 1.1920928955078125e-07  # float32 epsilon, before the log
    frames: int = 1024  # rows of the network's input; short sounds are filled up with 0.0
    mean: float = -5.081
    std: float = 4.4849


@dataclass(frozen=True)
class LogMelParams:
    """Log-mel of EfficientAT's mn networks (teachers/README)."""

    sample_rate: int = 32_000  # Hz
    samples: int = 320_000  # 10 s
    window: int = 800  # samples, 25 ms
    hop: int = 320  # samples, 10 ms
    fft: int = 1024
    mel_bins: int = 128
    low_hz: float = 0.0
    high_hz: float = 15_000.0
    preemphasis: float = 0.97
    offset: float = 1e-5  # added before the log


def mel_weights(params: FbankParams | LogMelParams) -> np.ndarray:
    """Kaldi triangles, linear on the mel axis, no area normalisation; the Nyquist bin has none.    [mel, fft/2]"""
    bins = np.arange(params.fft // 2) * params.sample_rate / params.fft  # Hz
    low, high = _mel(params.low_hz), _mel(params.high_hz)
    edges = low + (high - low) / (params.mel_bins + 1) * np.arange(params.mel_bins + 2)
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    up, down = (_mel(bins) - left) / (centre - left), (right - _mel(bins)) / (right - centre)
    return np.maximum(0.0, np.minimum(up, down))


def _mel(hz):
    return 1127.0 * np.log(1.0 + hz / 700.0)


def hann(size: int) -> np.ndarray:
    """Symmetric Hann window."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / (size - 1))


def silence_behind(samples: Tensor, lengths: Tensor) -> Tensor:
    """Zeros from `lengths` on, whatever stood there (NaN too)."""
    return torch.where(torch.arange(samples.shape[1], device=samples.device) < lengths[:, None], samples, 0.0)  # [B, T]


def tile(samples: Tensor, lengths: Tensor) -> Tensor:
    """Each row's first `lengths` samples, repeated to fill the row."""
    position = torch.arange(samples.shape[1], dtype=torch.float32, device=samples.device)  # exact: below 2^24
    length = lengths.clamp(1, samples.shape[1]).float()[:, None]
    source = position - torch.floor(position / length) * length  # [B, T]
    return torch.gather(samples, 1, source.long())


class KaldiFbank(nn.Module):
    """Frame mean, pre-emphasis, window and DFT are linear, so they are the kernel of one strided convolution."""

    def __init__(self, params: FbankParams = FbankParams()):
        super().__init__()
        self.params = params
        self.register_buffer("dft", torch.from_numpy(_kaldi_kernel(params)).float()[:, None], persistent=False)
        self.register_buffer("mel", torch.from_numpy(mel_weights(params)).float(), persistent=False)  # [M, bins]

    def forward(self, samples: Tensor, lengths: Tensor) -> Tensor:
        """Normalised network input, mean -5.081, std 4.4849.                              [B, 1024, 128]"""
        p = self.params
        fbank = F.pad(self.unpadded(samples, lengths), (0, 0, 0, p.frames))[:, : p.frames]  # [B, 1024, M]
        valid = (torch.div(lengths - p.window, p.hop, rounding_mode="floor") + 1)[:, None, None]
        fbank = torch.where(torch.arange(p.frames, device=samples.device)[None, :, None] < valid, fbank, 0.0)
        return (fbank - p.mean) / p.std

    def unpadded(self, samples: Tensor, lengths: Tensor) -> Tensor:
        """Log-mel rows of the whole signal before padding and normalisation.              [B, frames, 128]"""
        signal = silence_behind(samples, lengths)[:, None]  # [B, 1, T]
        real, imaginary = F.conv1d(signal, self.dft, stride=self.params.hop).chunk(2, dim=1)  # [B, bins, frames]
        energy = self.mel @ (real * real + imaginary * imaginary)  # [B, M, frames]
        return energy.clamp_min(self.params.floor).log().transpose(1, 2)


def _kaldi_kernel(p: FbankParams) -> np.ndarray:
    eye = np.eye(p.window)
    centred = eye - eye.mean(axis=0, keepdims=True)  # minus the frame's own mean
    shifted = np.vstack([centred[:1], centred[:-1]])  # x[-1] := x[0]
    windowed = hann(p.window)[:, None] * (centred - p.preemphasis * shifted)
    angle = 2 * np.pi / p.fft * np.outer(np.arange(p.fft // 2), np.arange(p.window))
    return np.vstack([np.cos(angle), -np.sin(angle)]) @ windowed  # [2 * bins, window]


class LogMel(nn.Module):
    """Pre-emphasis, centred STFT and mel of the mn networks; a sound shorter than the row is repeated.

    The 1024-point DFT is split as 32 x 32 (Cooley-Tukey): sample 32 a + b, bin c + 32 d. Both stages are grouped
    convolutions, six times less work than one dense kernel. Bins above the DFT's symmetry axis serve as their
    mirror images, so c runs to 16 only.
    """

    RADIX = 32

    def __init__(self, params: LogMelParams = LogMelParams()):
        super().__init__()
        self.params = params
        stage1, stage2, bins = _split_dft(params, self.RADIX)
        self.register_buffer("stage1", torch.from_numpy(stage1).float(), persistent=False)
        self.register_buffer("stage2", torch.from_numpy(stage2).float(), persistent=False)
        mel = torch.from_numpy(mel_weights(params)[:, bins % (params.fft // 2)] * (bins < params.fft // 2)).float()
        self.register_buffer("mel", mel[:, :, None], persistent=False)  # [M, 17 * 30, 1]

    def forward(self, samples: Tensor, lengths: Tensor) -> Tensor:
        """Network input, (log-mel + 4.5) / 5.                                             [B, 1, 128, 1000]"""
        energy = F.conv1d(self.power(tile(samples, lengths)), self.mel)  # [B, M, frames]
        return ((torch.log(energy + self.params.offset) + 4.5) / 5.0)[:, None]

    def power(self, samples: Tensor) -> Tensor:
        p, r = self.params, self.RADIX
        signal = samples[:, 1:] - p.preemphasis * samples[:, :-1]  # [B, T - 1]
        frames = 1 + signal.shape[1] // p.hop
        right = (frames - 1) * p.hop + p.window // 2 - signal.shape[1]
        signal = F.pad(signal[:, None], (p.window // 2, right), mode="reflect")[:, 0]
        rows = signal.unflatten(1, (-1, r)).transpose(1, 2)  # [B, 32 b, rows]
        x = F.conv1d(rows, self.stage1, stride=p.hop // r, groups=r)  # [B, 32 b * 17 c * 2, frames]
        half = r // 2 + 1
        x = x.unflatten(1, (r, half, 2)).transpose(1, 2).flatten(1, 3)  # [B, 17 c * 32 b * 2, frames]
        x = F.conv1d(x, self.stage2, groups=half)  # [B, 17 c * 2 * 30 d, frames]
        real, imaginary = x.unflatten(1, (half, 2, -1)).unbind(2)
        return (real * real + imaginary * imaginary).flatten(1, 2)  # [B, 17 * 30, frames]


def _split_dft(p: LogMelParams, radix: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Kernels of both stages, and the true bin of each output (bins >= fft/2 carry no mel weight)."""
    half, rows = radix // 2 + 1, p.window // radix
    if p.window % radix or p.hop % radix or radix * radix != p.fft:
        raise ValueError(f"Expected window and hop in multiples of {radix} and a DFT of {radix**2}, got {p}")
    top = math.ceil(p.high_hz * p.fft / p.sample_rate / radix)  # bins c + 32 d below the highest mel edge
    d = np.concatenate([np.arange(top), np.arange(radix - top, radix)])  # the second half mirrors
    a, b, c = np.arange(rows), np.arange(radix), np.arange(half)
    window = hann(p.window).reshape(rows, radix)  # [a, b]
    first = np.exp(-2j * np.pi * np.outer(c, a) / radix)[None] * window.T[:, None]  # [b, c, a]
    stage1 = np.stack([first.real, first.imag], axis=2).reshape(radix * half * 2, 1, rows)
    turn = np.exp(-2j * np.pi * (c[:, None, None] + radix * d[None, :, None]) * b / p.fft)  # [c, d, b]
    real = np.stack([turn.real, -turn.imag], axis=-1)  # acts on (real, imaginary) of stage 1
    imaginary = np.stack([turn.imag, turn.real], axis=-1)
    stage2 = np.stack([real, imaginary], axis=1).reshape(half * 2 * len(d), radix * 2, 1)
    bins = (c[:, None] + radix * d[None]).reshape(-1)
    mirrored = np.where(bins > p.fft // 2, p.fft - bins, bins)
    # c = 0 and c = 16 reach each bin twice: count it once.
    twice = np.repeat(np.isin(c, (0, half - 1)), len(d)) & (bins > p.fft // 2)
    return stage1, stage2, np.where(twice, p.fft // 2, mirrored)


class Pixels(nn.Module):
    """(x - mean) / std on a 0..255 scale, channels first."""

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).reshape(1, -1, 1, 1), persistent=False)
        self.register_buffer("scale", 1.0 / torch.tensor(std).reshape(1, -1, 1, 1), persistent=False)

    def forward(self, frames: Tensor) -> Tensor:  # uint8 [B, H, W, 3]
        return (frames.permute(0, 3, 1, 2).float() - self.mean) * self.scale  # [B, 3, H, W]


def imagenet_pixels() -> Pixels:
    """Normalisation of CAV-MAE (SPEC 2.2)."""
    return Pixels((0.485 * 255, 0.456 * 255, 0.406 * 255), (0.229 * 255, 0.224 * 255, 0.225 * 255))


def lite_pixels() -> Pixels:
    """Normalisation of EfficientNet-Lite."""
    return Pixels((127.0,) * 3, (128.0,) * 3)
