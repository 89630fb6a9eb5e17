"""The front ends against slow float64 oracles written from their descriptions, and against the reference's numbers."""

import math
import wave

import numpy as np
import pytest
import torch

from cavmae.bundles.graph import Graph, export_graph, open_graph
from cavmae.model.frontend import (
    FbankParams,
    KaldiFbank,
    LogMel,
    LogMelParams,
    hann,
    imagenet_pixels,
    mel_weights,
    tile,
)


def kaldi_oracle(x: np.ndarray) -> np.ndarray:
    """SPEC 1.2, step by step."""
    x = x.astype(np.float64)
    window = np.array([0.5 - 0.5 * math.cos(2 * math.pi * n / 399) for n in range(400)])
    triangles = [triangle(b) for b in range(128)]
    rows = []
    for m in range(1 + (len(x) - 400) // 160):
        frame = x[160 * m : 160 * m + 400]
        frame = frame - frame.mean()
        emphasised = np.array([frame[i] - 0.97 * frame[max(i - 1, 0)] for i in range(400)])
        power = np.abs(np.fft.rfft(emphasised * window, 512)) ** 2
        rows.append([math.log(max(weights @ power, 1.1920928955078125e-07)) for weights in triangles])
    return np.array(rows)


def triangle(b: int) -> np.ndarray:
    def mel(f: float) -> float:
        return 1127 * math.log(1 + f / 700)

    d = (mel(8000) - mel(20)) / 129
    left = mel(20) + b * d
    slopes = [((mel(k * 31.25) - left) / d, (left + 2 * d - mel(k * 31.25)) / d) for k in range(256)]
    return np.array([max(0.0, min(pair)) for pair in slopes] + [0.0])


def synthetic(seconds: float, rate: int) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(0).normal(size=len(t))
    return (0.3 * np.sin(2 * np.pi * (200 + 900 * t) * t) + 0.01 * noise + 0.05).astype(np.float32)


def test_kaldi_fbank_agrees_with_the_oracle():
    x = synthetic(0.5, 16_000)

    actual = KaldiFbank().unpadded(torch.from_numpy(x)[None], torch.tensor([len(x)]))[0].numpy()

    difference = np.abs(actual - kaldi_oracle(x))
    assert difference.max() < 2e-3 and difference.mean() < 2e-5
    assert np.allclose(actual[:, 3], -15.942385)  # no FFT bin falls into band 3


def test_a_length_that_fills_no_row_is_heard_to_its_last_frame():
    x = torch.from_numpy(synthetic(0.5, 16_000))[None]  # 8000 samples
    longer = torch.cat([x, torch.ones(1, 7)], dim=1)

    rows = [KaldiFbank().unpadded(signal, torch.tensor([signal.shape[1]])) for signal in (x, longer)]

    assert rows[0].shape == rows[1].shape and torch.allclose(*rows, atol=1e-4)


def test_kaldi_fbank_takes_out_the_mean_of_each_frame():
    x = torch.from_numpy(synthetic(0.5, 16_000))[None]

    quiet, shifted = (KaldiFbank().unpadded(signal, torch.tensor([8_000])) for signal in (x, x + 0.5))

    assert (quiet - shifted).abs().max() < 5e-3


def test_kaldi_fbank_pads_with_zero_before_normalising_and_is_deaf_behind_lengths():
    samples = torch.from_numpy(np.stack([synthetic(1, 16_000)] * 2))
    samples[1, 8_000:] = torch.nan

    out = KaldiFbank()(samples, torch.tensor([16_000, 8_000]))

    frames = 1 + (8_000 - 400) // 160
    assert out.shape == (2, 1024, 128)
    assert torch.allclose(out[1, :frames], out[0, :frames], atol=1e-5)
    assert torch.allclose(out[1, frames:], torch.tensor(1.1329127))


def test_log_mel_agrees_with_a_plain_stft():
    p, x = LogMelParams(), np.stack([np.resize(synthetic(3, 32_000), 320_000)])

    actual = LogMel()(torch.from_numpy(x), torch.tensor([320_000]))[0, 0].numpy()

    emphasised = np.pad(x[0, 1:].astype(np.float64) - 0.97 * x[0, :-1], 512, mode="reflect")
    window = np.pad(hann(800), 112)
    frames = np.stack([emphasised[320 * f : 320 * f + 1024] * window for f in range(1000)])
    power = np.abs(np.fft.rfft(frames)[:, :512]) ** 2
    expected = (np.log(mel_weights(p) @ power.T + 1e-5) + 4.5) / 5
    assert np.abs(actual - expected).max() < 1e-3 and np.abs(actual - expected).mean() < 1e-5


@pytest.mark.parametrize("length", [1, 7, 3_200, 319_999, 320_000])
def test_a_short_sound_is_repeated(length):
    samples = torch.randn(1, 320_000)

    tiled = tile(samples, torch.tensor([length]))

    assert torch.equal(tiled[0], samples[0][torch.arange(320_000) % length])


def test_pixels_are_normalised():
    frame = torch.full((1, 2, 2, 3), 255, dtype=torch.uint8)

    expected = [(1 - m) / s for m, s in zip((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True)]
    assert torch.allclose(imagenet_pixels()(frame)[0, :, 0, 0], torch.tensor(expected), atol=1e-5)


@pytest.mark.parametrize("name", ["synth2s", "quiet1s"])
def test_exported_fbank_agrees_with_the_reference(reference, tmp_path, name):
    with wave.open(str(reference / "golden" / f"{name}.wav")) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32)[None] / 32768
    expected = np.fromfile(reference / "golden" / f"{name}.fbank.f32", np.float32).reshape(-1, 128)
    lengths = torch.tensor([samples.shape[1], 400])
    example = {"samples": torch.zeros(2, samples.shape[1]), "lengths": lengths}
    export_graph(tmp_path / "fbank.onnx", Graph(KaldiFbank(), ("fbank",)), example)

    feeds = {"samples": samples, "lengths": lengths[:1].numpy()}
    (normalised,) = open_graph(tmp_path / "fbank.onnx").run(["fbank"], feeds)

    p = FbankParams()
    difference = np.abs(normalised[0, : len(expected)] * p.std + p.mean - expected)
    assert difference.max() < 3e-3 and (difference > 2e-3).sum() <= 1 and difference.mean() < 2e-5
    assert np.allclose(normalised[0, len(expected) :], 1.1329127)


def test_exported_pixels_agree_with_the_reference(reference):
    from PIL import Image

    picture = np.asarray(Image.open(reference / "golden" / "img_224_bilinear.png").convert("RGB"))
    expected = np.fromfile(reference / "golden" / "img_224_bilinear.norm_chw.f32", np.float32).reshape(3, 224, 224)

    actual = imagenet_pixels()(torch.from_numpy(picture.copy())[None])[0].numpy()

    assert np.abs(actual - expected).max() < 1e-5
