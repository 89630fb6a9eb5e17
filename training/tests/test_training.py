import dataclasses
import itertools
import json

import numpy as np
import pytest
import torch

from cavmae import checkpoint
from cavmae.config import SIZES
from cavmae.data import Item, WeakPairs, audioset_labels, audioset_map, label_vector, skipping
from cavmae.finetune import FinetuneOptions, tagging_loss, with_head
from cavmae.media import BadSample
from cavmae.model import CavMae
from cavmae.pretrain import PretrainOptions, train

MICRO = dataclasses.replace(SIZES["tiny"], dim=48, tower_depth=1, frames=256, image=112, contrast_weight=1.0)


def item(key: str, concept: str | None, audioset=()) -> Item:
    return Item(key, "shard", "source", key, "CC0", True, "train", concept, tuple(audioset))


def synthetic_batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Four stripes of sound that go with four stripes of picture."""
    fbank, image = 0.1 * torch.randn(4, 256, 128), 0.1 * torch.randn(4, 3, 112, 112)
    for i in range(4):
        fbank[i, :, 32 * i : 32 * i + 32] += 2
        image[i, :, 28 * i : 28 * i + 28] += 2
    return fbank, image


def test_both_losses_fall_on_data_that_can_be_learnt(tmp_path):
    model, (fbank, image) = CavMae(MICRO), synthetic_batch()
    options = PretrainOptions(steps=60, lr=2e-3, warmup=3, save_every=1000, threads=1)

    history = train(model, lambda _: vars(model(fbank, image)), itertools.repeat(None), tmp_path, options, {"step": 0})

    first, last = history[0], history[-5:]
    assert np.mean([h["contrast"] for h in last]) < 0.5 * first["contrast"]
    assert np.mean([h["mae_audio"] + h["mae_visual"] for h in last]) < 0.98 * (first["mae_audio"] + first["mae_visual"])


def test_training_resumes_where_it_stopped(tmp_path):
    fbank, image = synthetic_batch()
    options = PretrainOptions(steps=2, save_every=1, warmup=1)
    model = CavMae(MICRO)
    train(model, lambda _: vars(model(fbank, image)), itertools.repeat(None), tmp_path, options, {"step": 0})

    resumed, state = checkpoint.load(tmp_path / "last.pt")
    more = dataclasses.replace(options, steps=3)
    history = train(resumed, lambda _: vars(resumed(fbank, image)), itertools.repeat(None), tmp_path, more, state)

    assert state["step"] == 2 and [h["step"] for h in history] == [2]
    assert [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").read_text().splitlines()] == [0, 1, 2]


@pytest.mark.parametrize("mode", ["joint", "audio", "visual"])
def test_the_tagging_head_learns(tmp_path, mode):
    checkpoint.save(tmp_path / "pretrained.pt", CavMae(MICRO), 0)
    model, (fbank, image) = with_head(tmp_path / "pretrained.pt"), synthetic_batch()
    labels = torch.eye(4, 527)
    options = FinetuneOptions(mode=mode, steps=6, lr=1e-4, head_lr=50.0, warmup=1, save_every=1000)

    def loss(_):
        return {"total": tagging_loss(model, fbank, image, labels, mode)}

    history = train(model, loss, itertools.repeat(None), tmp_path / "out", options, {"step": 0})

    assert history[-1]["total"] < history[0]["total"]


def test_bad_samples_are_skipped_and_counted(capsys):
    def load(number: int) -> int:
        if number % 3 == 0:
            raise BadSample(f"number {number}")
        return number * 10

    kept = list(skipping(range(50), load))

    assert kept == [(n, 10 * n) for n in range(50) if n % 3]
    assert "skipped 17 bad samples, first: number 0" in capsys.readouterr().err


def test_weak_pairs_share_a_concept_and_thin_concepts_are_rare():
    sounds = [item(f"s-{c}-{i}", c) for c, n in (("dog", 50), ("harp", 50), ("rain", 5)) for i in range(n)]
    pictures = [item(f"p-{c}-{i}", c) for c, n in (("dog", 50), ("harp", 2), ("sun", 9)) for i in range(n)]

    drawn = [WeakPairs(sounds, pictures, seed).draw() for seed in range(200)]

    assert all(sound.concept == picture.concept for sound, picture, _ in drawn)
    assert {sound.concept for sound, _, _ in drawn} == {"dog", "harp"}
    assert sum(sound.concept == "harp" for sound, _, _ in drawn) < 60
    with pytest.raises(ValueError, match="at least one concept"):
        WeakPairs(sounds, [item("x", None)])


def test_labels_and_map_are_complete():
    assert len(audioset_labels()) == 527 and audioset_labels()[0] == {"index": 0, "mid": "/m/09x0r", "name": "Speech"}
    table = audioset_map()
    assert table.shape == (1000, 527) and (table.max(1) > 0).sum() > 900 and table.max() <= 1
    assert label_vector(item("x", None, ["/m/09x0r"])).nonzero()[0].tolist() == [0]
