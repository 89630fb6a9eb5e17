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
    position = torch.arange(samples.shape[1], dtype=torch.int32, device=samples.device)
    return torch.where(position < lengths.int()[:, None], samples, 0.0)  # [B, T]


def tile(samples: Tensor, lengths: Tensor) -> Tensor:
    """Each row's first `lengths` samples, repeated to fill the row."""
    position = torch.arange(samples.shape[1], dtype=torch.float32, device=samples.device)  # exact: below 2^24
    length = lengths.clamp(1, samples.shape[1]).float()[:, None]
    source = position - torch.floor(position / length) * length  # [B, T]
    return torch.gather(samples, 1, source.long())


class KaldiFbank(nn.Module):
    """Pre-emphasis goes over the whole signal; a frame's mean is taken out of its spectrum, where it has one shape.

    What stands before a frame's first sample has no effect: the window is 0 there (SPEC 1.2).
    """

    def __init__(self, params: FbankParams = FbankParams()):
        super().__init__()
        self.params = params
        self.spectrum = Spectrum(params, radix=16)
        self.mel = MelBands(params, self.spectrum.bins)
        constant = torch.full((1, params.window), params.preemphasis - 1.0)  # a mean of 1, emphasised and taken away
        self.register_buffer("mean_real", self.spectrum.parts(constant)[0], persistent=False)  # [1, bins, 1]
        self.register_buffer("mean_imaginary", self.spectrum.parts(constant)[1], persistent=False)

    def forward(self, samples: Tensor, lengths: Tensor) -> Tensor:
        """Normalised network input, mean -5.081, std 4.4849.                              [B, 1024, 128]"""
        p = self.params
        fbank = F.pad(self.unpadded(samples, lengths), (0, 0, 0, p.frames))[:, : p.frames]  # [B, 1024, M]
        valid = (torch.div(lengths - p.window, p.hop, rounding_mode="floor") + 1)[:, None, None]
        fbank = torch.where(torch.arange(p.frames, device=samples.device)[None, :, None] < valid, fbank, 0.0)
        return (fbank - p.mean) / p.std

    def unpadded(self, samples: Tensor, lengths: Tensor) -> Tensor:
        """Log-mel rows of the whole signal before padding and normalisation.              [B, frames, 128]"""
        p, signal = self.params, silence_behind(samples, lengths)  # [B, T]
        real, imaginary = self.spectrum.parts(signal - p.preemphasis * F.pad(signal, (1, -1)))
        mean = F.avg_pool1d(signal[:, None], p.window, p.hop)  # [B, 1, frames]
        real, imaginary = real + mean * self.mean_real, imaginary + mean * self.mean_imaginary
        energy = self.mel(real * real + imaginary * imaginary)  # [B, M, frames]
        return energy.clamp_min(p.floor).log().transpose(1, 2)


class LogMel(nn.Module):
    """Pre-emphasis, centred STFT and mel of the mn networks; a sound shorter than the row is repeated."""

    BLOCK = 144  # frames, of 16 as a core's vectors are; what they need between two steps stays in its cache

    def __init__(self, params: LogMelParams = LogMelParams()):
        super().__init__()
        self.params = params
        self.spectrum = Spectrum(params, radix=32)
        self.mel = MelBands(params, self.spectrum.bins, gain=math.exp(4.5), offset=params.offset)
        self.register_buffer("emphasis", torch.tensor([[[-params.preemphasis, 1.0]]]), persistent=False)

    def forward(self, samples: Tensor, lengths: Tensor) -> Tensor:
        """Network input, (log-mel + 4.5) / 5.                                             [B, 1, 128, 1000]"""
        p, signal = self.params, self.emphasised(samples, lengths)  # [B, 1, T - 1]
        first, frames = -p.window // 2, 1 + (samples.shape[1] - 1) // p.hop  # frame i begins at first + i * hop
        margin = p.window - p.hop  # of a block's last frame beyond its hop
        blocks = []
        for frame in range(0, frames, self.BLOCK):
            start, end = (first + i * p.hop for i in (frame, min(frame + self.BLOCK, frames)))
            blocks.append(self.log_mel(_stretch(signal, start, end + margin)[:, 0]))
        return torch.cat(blocks, dim=-1)[:, None]

    def emphasised(self, samples: Tensor, lengths: Tensor) -> Tensor:
        """After pre-emphasis; a batch without short sounds is spared the work of repeating. [B, 1, T - 1]"""

        def repeated(samples: Tensor, lengths: Tensor) -> Tensor:
            return F.conv1d(tile(samples, lengths)[:, None], self.emphasis)

        def whole(samples: Tensor, lengths: Tensor) -> Tensor:
            return F.conv1d(samples[:, None], self.emphasis)

        short = (lengths < samples.shape[1]).any()
        if torch.compiler.is_exporting():
            return torch.cond(short, repeated, whole, (samples, lengths))
        return (repeated if short else whole)(samples, lengths)

    def log_mel(self, signal: Tensor) -> Tensor:
        real, imaginary = self.spectrum.parts(signal)
        return self.mel(real * real + imaginary * imaginary).log() / 5.0  # [B, M, frames]


def _stretch(signal: Tensor, start: int, end: int) -> Tensor:
    """Of a signal that is reflected at both ends.                                          [B, 1, end - start]"""
    first, last = max(start, 0), min(end, signal.shape[2])
    inside = signal[:, :, first:last]
    return inside if (start, end) == (first, last) else F.pad(inside, (first - start, end - last), mode="reflect")


class Spectrum(nn.Module):
    """The DFT of windowed frames, split as N = R x r (Cooley-Tukey): sample r a + b, bin c + R d.

    Both stages are grouped convolutions, many times less work than one dense kernel. Bins above the DFT's symmetry
    axis serve as their mirror images, so c runs to R / 2 only; bins above the highest mel edge are left out. A d stands
    beside the one whose bins mirror the same stretch, so that frequency grows along d.
    """

    def __init__(self, params: FbankParams | LogMelParams, radix: int):
        super().__init__()
        p, large = params, params.fft // radix  # R
        if p.window % radix or p.hop % radix or large * radix != p.fft:
            raise ValueError(f"Expected window, hop and DFT in multiples of {radix}, got {p}")
        top = math.ceil(p.high_hz * p.fft / p.sample_rate / large)  # bins c + R d below the highest mel edge
        c, d = np.arange(large // 2 + 1), np.array([[j, radix - 1 - j] for j in range(top)]).reshape(-1)
        self.params, self.radix, self.half = p, radix, len(c)
        self.bins = _true_bins(c, d, p.fft)  # [c, d]
        real, imaginary = _stage2(c, d, radix, p.fft)
        for name, kernel in (("stage1", _stage1(c, radix, p)), ("real", real), ("imaginary", imaginary)):
            self.register_buffer(name, torch.from_numpy(kernel).float(), persistent=False)

    def parts(self, signal: Tensor) -> tuple[Tensor, Tensor]:
        """Real and imaginary, bins in the order of `bins`.                                2 x [B, bins, frames]"""
        r = self.radix
        rows = signal[:, : signal.shape[1] // r * r].unflatten(1, (-1, r))  # the rest is in no frame
        rows = rows.transpose(1, 2)  # [B, r b, rows]
        x = F.conv1d(rows, self.stage1, stride=self.params.hop // r, groups=r)  # [B, b * c * 2, frames]
        x = x.unflatten(1, (r, self.half, 2)).transpose(1, 2).flatten(1, 3)  # [B, c * b * 2, frames]
        return F.conv1d(x, self.real, groups=self.half), F.conv1d(x, self.imaginary, groups=self.half)


class MelBands(nn.Module):
    """`gain` (mel energies + `offset`), from powers in the order of `bins` [c, d].

    Mel bins are taken by groups, which reach few d.
    """

    AT_ONCE = 32

    def __init__(self, params: FbankParams | LogMelParams, bins: np.ndarray, gain: float = 1.0, offset: float = 0.0):
        super().__init__()
        nyquist = params.fft // 2
        weights = gain * mel_weights(params)[:, bins % nyquist] * (bins < nyquist)  # [M, c, d]
        self.shape, self.reach = bins.shape, {}
        for first in range(0, params.mel_bins, self.AT_ONCE):
            kernel = weights[first : first + self.AT_ONCE]
            used = np.flatnonzero(kernel.any(axis=(0, 1)))
            start, end = int(used[0]), int(used[-1]) + 1
            self.reach[f"from_{first}"] = start, end
            kernel = torch.from_numpy(kernel[:, :, start:end]).float().flatten(1)[:, :, None]
            self.register_buffer(f"from_{first}", kernel, persistent=False)
        self.register_buffer("least", torch.full((self.AT_ONCE,), gain * offset), persistent=False)

    def forward(self, power: Tensor) -> Tensor:  # [B, c * d, frames]
        power = power.unflatten(1, self.shape)
        energies = [
            F.conv1d(power[:, :, start:end].flatten(1, 2), getattr(self, name), self.least)
            for name, (start, end) in self.reach.items()
        ]
        return torch.cat(energies, dim=1)  # [B, M, frames]


def _stage1(c: np.ndarray, radix: int, p: FbankParams | LogMelParams) -> np.ndarray:
    """Window and DFT over a, for each b; real and imaginary in turn.                     [b * c * 2, 1, a]"""
    window = hann(p.window).reshape(-1, radix)  # [a, b]
    turn = np.exp(-2j * np.pi * np.outer(c, np.arange(len(window))) * radix / p.fft)  # [c, a]
    kernel = turn[None] * window.T[:, None]  # [b, c, a]
    return np.stack([kernel.real, kernel.imag], axis=2).reshape(-1, 1, len(window))


def _stage2(c: np.ndarray, d: np.ndarray, radix: int, fft: int) -> tuple[np.ndarray, np.ndarray]:
    """DFT over b, for each c, acting on real and imaginary in turn.                       2 x [c * d, b * 2, 1]"""
    k = c[:, None, None] + (fft // radix) * d[None, :, None]
    turn = np.exp(-2j * np.pi * k * np.arange(radix) / fft)  # [c, d, b]
    real, imaginary = np.stack([turn.real, -turn.imag], axis=-1), np.stack([turn.imag, turn.real], axis=-1)
    return real.reshape(-1, 2 * radix, 1), imaginary.reshape(-1, 2 * radix, 1)


def _true_bins(c: np.ndarray, d: np.ndarray, fft: int) -> np.ndarray:
    """Of each output of stage 2; what has no mel weight counts as the Nyquist bin.        [c, d]"""
    large = 2 * (len(c) - 1)
    bins = c[:, None] + large * d[None]
    # c = 0 and c = R / 2 reach each bin twice: count it once.
    twice = np.isin(c, (0, large // 2))[:, None] & (bins > fft // 2)
    return np.where(twice, fft // 2, np.minimum(bins, fft - bins))


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
