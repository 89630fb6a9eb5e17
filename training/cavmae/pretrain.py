"""Pretraining on weak pairs: masked reconstruction plus contrast, AdamW, warm-up, cosine, resumable."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from . import checkpoint
from .config import CavMaeConfig
from .data import Item, Pack, WeakPairs, label_vector, skipping
from .features import pad
from .frontend import FbankParams, LogMelParams
from .media import decode_picture, decode_sound
from .model import CavMae, audio_frontend, visual_frontend
from .schedule import warm_cosine
from .stems import efficientnet_lite, mn04


@dataclass(frozen=True)
class PretrainOptions:
    steps: int = 1000
    batch: int = 32
    lr: float = 1e-4
    weight_decay: float = 0.05
    warmup: int = 50
    seed: int = 0
    save_every: int = 200
    threads: int = 2


@dataclass(frozen=True)
class Batch:
    samples: Tensor  # [B, T]
    lengths: Tensor  # [B]
    frames: Tensor  # uint8 [B, H, W, 3]
    labels: Tensor  # [B, 527]


def pretrain(
    pack: Pack, config: CavMaeConfig, out: Path, options: PretrainOptions, teacher: Path | None = None
) -> CavMae:
    """Goes on from out/last.pt where there is one."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    last = out / "last.pt"
    model, state = checkpoint.load(last) if last.exists() else (fresh_model(config, teacher), {"step": 0})
    prepare = Preparation(config)

    def loss(batch: Batch) -> dict[str, Tensor]:
        losses = model(*prepare(batch))
        return vars(losses)

    batches = weak_batches(pack, config, options.batch, options.seed + state["step"])
    train(model, loss, batches, out, options, state)
    return model


def fresh_model(config: CavMaeConfig, teacher: Path | None) -> CavMae:
    model = CavMae(config)
    if config.audio_stem == "mn04":
        if teacher is None:
            raise ValueError("Expected --teacher, the mn04_as weights, for the stem mn04")
        model.patch_embed_a.features = mn04(teacher).features.requires_grad_(False)
    if config.visual_stem == "lite0":
        model.patch_embed_v.features = efficientnet_lite(0).features.requires_grad_(False)
    return model


class Preparation:
    """Batch -> normalised fbank [B, time, mel], normalised image [B, 3, H, W], by the exported front ends."""

    def __init__(self, config: CavMaeConfig):
        self.audio, self.visual = audio_frontend(config), visual_frontend(config)

    @torch.no_grad()
    def __call__(self, batch: Batch) -> tuple[Tensor, Tensor]:
        return self.audio(batch.samples, batch.lengths), self.visual(batch.frames)


def sound_shape(config: CavMaeConfig) -> tuple[int, int, str]:
    """Sample rate, samples of a segment, channel rule."""
    if config.audio_stem == "mn04":
        return LogMelParams().sample_rate, LogMelParams().samples, "mean"
    return FbankParams().sample_rate, 10 * FbankParams().sample_rate, "first"


def weak_batches(pack: Pack, config: CavMaeConfig, size: int, seed: int) -> Iterator[Batch]:
    sounds = [item for item in pack.sounds if item.split == "train"]
    pictures = [item for item in pack.pictures if item.split == "train"]
    pairs = WeakPairs(sounds, pictures, seed)
    rate, samples, channels = sound_shape(config)

    def drawn() -> Iterator[tuple[Item, Item]]:
        while True:
            sound, picture, _ = pairs.draw()
            yield sound, picture

    def load(pair: tuple[Item, Item]) -> tuple[np.ndarray, np.ndarray]:
        sound = decode_sound(pack.read(pair[0]), rate, samples / rate, channels)
        return sound, decode_picture(pack.read(pair[1]), (config.image, config.image), "cover")

    held: list[tuple] = []
    for (sound_item, _), loaded in skipping(drawn(), load):
        held.append((*loaded, label_vector(sound_item)))
        if len(held) == size:
            yield collate(held, samples)
            held = []


def collate(rows: list[tuple], samples: int) -> Batch:
    sounds, frames, labels = zip(*rows, strict=True)
    return Batch(
        torch.from_numpy(np.stack([pad(sound, samples) for sound in sounds])),
        torch.tensor([min(len(sound), samples) for sound in sounds]),
        torch.from_numpy(np.stack(frames)),
        torch.from_numpy(np.stack(labels)),
    )


def train(
    model: CavMae, loss: Callable[[Batch], dict], batches: Iterator[Batch], out: Path, options, state: dict
) -> list[dict]:
    """The loop of both trainings; out/log.jsonl has a line for every step."""
    optimizer = torch.optim.AdamW(groups(model, options), lr=options.lr, betas=(0.9, 0.95))
    if "optimizer" in state:
        optimizer.load_state_dict(state["optimizer"])
    base = [group["lr"] for group in groups(model, options)]
    out.mkdir(parents=True, exist_ok=True)
    history = []
    model.train()
    with (out / "log.jsonl").open("a") as log:
        for step in range(state["step"], options.steps):
            for group, lr in zip(optimizer.param_groups, base, strict=True):
                group["lr"] = lr * warm_cosine(step, options.warmup, options.steps)
            terms = loss(next(batches))
            optimizer.zero_grad()
            terms["total"].backward()
            optimizer.step()
            history.append({"step": step} | {name: value.item() for name, value in terms.items()})
            log.write(json.dumps(history[-1]) + "\n")
            if (step + 1) % options.save_every == 0 or step + 1 == options.steps:
                log.flush()
                checkpoint.save(out / "last.pt", model, step + 1, optimizer)
                print(json.dumps(history[-1]), file=sys.stderr)
    return history


def groups(model: CavMae, options) -> list[dict]:
    """Weights decay; biases, norms and the learned vectors do not. The tagging head may learn faster."""
    head_lr = options.lr * getattr(options, "head_lr", 1.0)
    made: dict[tuple[float, float], list] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decay = options.weight_decay if parameter.ndim >= 2 and not name.startswith(("modality", "mask")) else 0.0
            lr = head_lr if name.startswith("mlp_head") else options.lr
            made.setdefault((lr, decay), []).append(parameter)
    return [{"params": params, "lr": lr, "weight_decay": decay} for (lr, decay), params in made.items()]
