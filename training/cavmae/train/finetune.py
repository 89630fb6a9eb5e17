"""Fine-tuning: a tagging head on pretrained streams, and the streams with it (SPEC 8)."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from ..data.sources import Batch, Source
from ..model import checkpoint
from ..model.cav_mae import CavMae
from ..model.config import CavMaeConfig
from ..model.sync import build
from ..options import check_choices
from ..randomness import RowRandom
from .augment import (
    AugmentOptions,
    PerturbOptions,
    draw_mix,
    hide_bands,
    mix_sounds,
    perturb,
    silence_level,
    soft_labels,
)
from .feed import DataOptions, open_source
from .loop import Trainer, TrainOptions, machine
from .task import Task

NEEDS = {"joint": ("audio", "visual"), "audio": ("audio",), "visual": ("visual",)}


@dataclass(frozen=True)
class TuneOptions:
    pretrained: Path | None = None  # checkpoint of pretrain
    mode: Literal["joint", "audio", "visual"] = "joint"  # which stream feeds the head
    loss: Literal["bce", "ce"] = "bce"  # ce where each clip has one class
    head_lr: float = 100.0  # times lr
    freeze_base: bool = False  # the head alone is tuned: a linear probe

    def __post_init__(self):
        check_choices(self)


@dataclass(frozen=True)
class FinetuneRun:
    tune: TuneOptions = TuneOptions()
    data: DataOptions = DataOptions()
    train: TrainOptions = TrainOptions(steps=500, lr=5e-5, warmup=20, save_every=100, average="mean")
    augment: AugmentOptions = AugmentOptions()
    perturb: PerturbOptions = PerturbOptions()


def finetune(run: FinetuneRun, out: Path, source: Source | None = None) -> CavMae:
    """On `source`, else on what `run.data` names. Goes on from out/last.pt, else from the pretrained model."""
    with machine(run.train) as device:
        if run.data.keep and run.augment.mixup:
            raise ValueError("Expected --mixup 0 with --keep: waveforms are mixed, spectrograms are kept")
        before = before_tuning(run.tune.pretrained, out)
        source = source or open_source(run.data, before, run.train.batch, run.train.seed, NEEDS[run.tune.mode])
        if not source.labels:
            raise ValueError("Expected data with labels to tune a tagging head on, got none")
        config = replace(before, decoder_depth=0, classes=len(source.labels))
        state = checkpoint.resumable(out, config)
        if state:
            expect_same_task(state, run.tune.mode, source.labels, out)
        model = build(config) if state else checkpoint.start_from(run.tune.pretrained, config)
        trainer = Trainer(Finetuning(model, run), run, out, device, labels=source.labels)
        if state:
            trainer.resume(state)
        trainer.fit(source)
    return model


def before_tuning(pretrained: Path | None, out: Path) -> CavMaeConfig:
    begun = next((path for path in (out / "last.pt", pretrained) if path and path.exists()), None)
    if begun is None:
        raise ValueError(f"Expected --pretrained, a checkpoint of pretrain, got {pretrained}")
    config = checkpoint.load(begun)[0].config
    if config.kind != "cav-mae":
        raise ValueError(f"Expected a CAV-MAE to tune, got {config.kind}: its class token is made for search alone")
    return config


def expect_same_task(state: dict, mode: str, labels: list[dict], out: Path) -> None:
    """A head goes on with the stream and the classes that it was begun with."""
    before = state["run"]["tune"]["mode"]
    if before != mode:
        raise ValueError(f"Expected --mode {before}, in which {out} was begun, or another --out, got {mode}")
    if state["labels"] != labels:
        raise ValueError(f"Expected the classes that {out} was begun with, or another --out, got others")


class Finetuning(Task):
    def __init__(self, model: CavMae, run: FinetuneRun):
        super().__init__(model, run.tune.head_lr)
        self.tune, self.augment, self.perturbing, self.seed = run.tune, run.augment, run.perturb, run.train.seed
        self.silence = silence_level(model.config)
        for table in (model.pos_embed_a, model.pos_embed_v):  # fixed in pretraining, learnt here (SPEC 3)
            table.requires_grad_(True)
        for name, parameter in model.named_parameters():
            if run.tune.freeze_base and not name.startswith("mlp_head"):
                parameter.requires_grad_(False)

    def forward(self, batch: Batch, step: int, rows: range) -> dict[str, Tensor]:
        random = RowRandom(self.seed, step, rows, "augment")
        mix = draw_mix(random, self.augment.mixup)
        samples = mix_sounds(batch.samples, batch.lengths, mix)
        fbank, image = self.frontends(replace(batch, samples=samples))
        fbank = perturb(hide_bands(fbank, random, self.augment, self.silence), random, self.perturbing)
        targets = soft_labels(batch.labels, self.augment.label_smoothing, mix)
        logits = tag(self.model, fbank, mix.blend(image), self.tune.mode)
        return {"total": tagging_loss(logits, targets, self.tune.loss)}


def tagging_loss(logits: Tensor, targets: Tensor, loss: str) -> Tensor:
    """Of several classes a clip, or of one."""
    if loss == "ce":
        return F.cross_entropy(logits.float(), targets)
    return F.binary_cross_entropy_with_logits(logits.float(), targets)


def tag(model: CavMae, fbank: Tensor, image: Tensor, mode: str) -> Tensor:
    if mode == "audio":
        return model.classify(model.encode_audio(fbank)[0])
    if mode == "visual":
        return model.classify(model.encode_visual(image)[0])
    tower_a, tower_v = model.tower_a(model.tokens_a(fbank)), model.tower_v(model.tokens_v(image))
    return model.classify(model.encode_joint(tower_a, tower_v))
