import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cavmae.adapt.adapt import AdaptOptions, Library, Pictures, Sounds, adapt, one_of_each, split
from cavmae.bundles.attach import attach
from cavmae.bundles.graph import Graph, export_graph, open_graph
from cavmae.data.pack import Skips
from cavmae.model.heads import Residual

OPTIONS = AdaptOptions(hidden=64, steps=120, batch=128, keep=0.2, threads=1, lr=2e-3)
RECORDINGS = np.array([f"r{i // 2}" for i in range(480)])


def library(sound_of: Tensor, picture_of: Tensor) -> Library:
    """The features tell what each is of; the embeddings tell the same, but turned against one another."""
    turned, noise = torch.linalg.qr(torch.randn(12, 12))[0], 0.3
    z = sound_of @ turned + noise * torch.randn(len(sound_of), 12)
    frames = picture_of[:, None] + noise * torch.randn(len(picture_of), 3, 12)
    return Library(Sounds(sound_of, z), Pictures(frames, frames.clone()), RECORDINGS, Skips())


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def test_pairs_that_belong_together_are_learnt_and_the_gain_is_measured_on_other_recordings():
    things = F.normalize(torch.randn(480, 12), dim=-1)

    adapted = adapt(library(things, things), OPTIONS)

    assert adapted.gains
    assert adapted.gain.interval[0] > 10
    assert "120 segments of 60 recordings" in adapted.gain.data


def test_pairs_that_have_nothing_to_do_with_each_other_gain_nothing():
    things, others = torch.randn(2, 480, 12)

    assert not adapt(library(things, others), OPTIONS).gains


def test_a_recording_is_on_one_side():
    learning, held = split(RECORDINGS, OPTIONS)

    assert not set(RECORDINGS[learning]) & set(RECORDINGS[held])
    assert len(learning) + len(held) == len(RECORDINGS)


def test_a_library_too_small_to_measure_on_is_refused():
    with pytest.raises(ValueError, match="Expected 40 segments to measure on"):
        split(RECORDINGS[:60], OPTIONS)


def test_a_batch_has_no_two_segments_of_a_recording():
    rows = one_of_each(RECORDINGS, 100, np.random.default_rng(0))

    assert len(set(RECORDINGS[rows])) == len(rows) == 100


class Tower(nn.Module):
    """A stand-in for any encoder: what it takes does not matter to what is put behind it."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 8)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:  # [B, N, 6]
        tokens = self.linear(x)
        return F.normalize(tokens.mean(1), dim=-1), tokens, tokens.mean(1)[:, :3], x.mean(1)


@pytest.mark.parametrize("features", ["pool", "tokens"])
def test_a_residual_behind_a_graph_moves_embedding_and_tokens_alike(tmp_path, features):
    outputs, x = ("embedding", "tokens", "logits", "pool"), torch.randn(2, 5, 6)
    export_graph(tmp_path / "base.onnx", Graph(Tower(), outputs), {"x": x})
    width = 6 if features == "pool" else 8
    residual = Residual(torch.randn(width), torch.ones(width), 4, 8).eval()
    nn.init.normal_(residual.fc2.weight)

    attach(tmp_path / "base.onnx", tmp_path / "made.onnx", residual, features)

    base, made = (open_graph(tmp_path / name) for name in ("base.onnx", "made.onnx"))
    assert [value.name for value in made.get_outputs()] == list(outputs)
    _, tokens, logits, pool = base.run(outputs, {"x": x.numpy()})
    step = residual.plain(torch.from_numpy(pool if features == "pool" else tokens.mean(1))).detach().numpy()
    embedding, moved, same_logits, _ = made.run(outputs, {"x": x.numpy()})
    np.testing.assert_allclose(moved, tokens + step[:, None], atol=1e-5)
    mean = moved.mean(1)
    np.testing.assert_allclose(embedding, mean / np.linalg.norm(mean, axis=1, keepdims=True), atol=1e-5)
    np.testing.assert_array_equal(same_logits, logits)
