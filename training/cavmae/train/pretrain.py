"""Pretraining: masked reconstruction plus contrast, and where asked the lessons of frozen taggers."""

from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch
from torch import Tensor

from ..data.sources import Batch, Source, segment_shape
from ..model import checkpoint
from ..model.cav_mae import CavMae
from ..model.config import KINDS, SIZES, CavMaeConfig
from ..model.stems import efficientnet_lite, mn04
from ..model.sync import build, windows
from ..options import assemble
from ..randomness import RowRandom
from .augment import PerturbOptions, perturb
from .distill import DistillOptions, Pupils, Teachers
from .feed import DataOptions, open_source
from .loop import Trainer, TrainOptions, machine
from .task import Task


@dataclass(frozen=True)
class WeightOptions:
    init: Path | None = None  # checkpoint to begin from
    teacher: Path | None = None  # mn04_as weights: for the stem mn04, and for distillation


@dataclass(frozen=True)
class PretrainRun:
    model: CavMaeConfig
    data: DataOptions = DataOptions()
    weights: WeightOptions = WeightOptions()
    train: TrainOptions = TrainOptions()
    perturb: PerturbOptions = PerturbOptions()
    distill: DistillOptions = DistillOptions()


def pretrain(run: PretrainRun, out: Path, source: Source | None = None) -> CavMae:
    """On `source`, else on what `run.data` names. Goes on from out/last.pt where there is one."""
    with machine(run.train) as device:
        state = checkpoint.resumable(out, run.model)
        model = build(run.model) if state else fresh_model(run.model, run.weights)
        trainer = Trainer(Pretraining(model, run), run, out, device)
        if state:
            trainer.resume(state)
        trainer.fit(source or open_source(run.data, run.model, run.train.batch, run.train.seed))
    return model


class Pretraining(Task):
    def __init__(self, model: CavMae, run: PretrainRun):
        super().__init__(model)
        self.seed, self.perturbing, self.distilling = run.train.seed, run.perturb, run.distill.active
        if self.distilling:
            _expect_lessons(run)
            self.teachers = Teachers(run.weights.teacher, segment_shape(model.config).sample_rate)
            self.pupils = Pupils(model.config.dim, run.distill)

    def forward(self, batch: Batch, step: int, rows: range) -> dict[str, Tensor]:
        random = RowRandom(self.seed, step, rows, "pretrain")
        moment = self.moment(random, batch.frames.device)
        batch = replace(batch, frames=batch.frames[moment][:, None])
        fbank, image = self.frontends(batch)
        fbank = windows(fbank, self.model.config.frames, self.model.config.windows)[moment]  # [B, time, mel]
        losses = self.model(perturb(fbank, random, self.perturbing), image, random, batch.groups)
        terms = {name: getattr(losses, name) for name in ("total", "mae_audio", "mae_visual", "contrast")}
        if self.distilling:
            lessons = self.pupils(losses.pooled, self.teachers(batch))
            terms |= lessons | {"total": losses.total + lessons["total"]}
        return terms

    def moment(self, random: RowRandom, device: torch.device) -> tuple[Tensor, Tensor]:
        """One window of each row: Sync's overlap, so they are no negatives of each other. CAV-MAE's segment is one."""
        window = random.integers(0, self.model.config.windows)
        return torch.arange(len(window), device=device), window.to(device)


def _expect_lessons(run: PretrainRun) -> None:
    if run.data.keep:
        raise ValueError("Expected no --keep with distillation: its teachers hear the sound, spectrograms are kept")
    if run.weights.teacher is None:
        raise ValueError("Expected --teacher, the mn04_as weights, for distillation")
    if not run.model.contrast_weight:
        raise ValueError("Expected a contrast_weight above 0 for distillation: it teaches what the contrast compares")


def fresh_model(config: CavMaeConfig, weights: WeightOptions) -> CavMae:
    if weights.init:
        return checkpoint.start_from(weights.init, config)
    model = build(config)
    if config.audio_stem == "mn04":
        if weights.teacher is None:
            raise ValueError("Expected --teacher, the mn04_as weights, for the stem mn04")
        model.patch_embed_a.features = mn04(weights.teacher).features.requires_grad_(False)
    if config.visual_stem == "lite0":
        model.patch_embed_v.features = efficientnet_lite(0).features.requires_grad_(False)
    return model


# --- from a file and flags --------------------------------------------------------------------------------------------

_NUMBERS = [f.name for f in fields(CavMaeConfig) if any(getattr(c, f.name) != f.default for c in SIZES.values())]
PRESETS = {
    "size": {size: {name: getattr(config, name) for name in _NUMBERS} for size, config in SIZES.items()},
    "model": KINDS,
}


def configure(out: Path, file: dict[str, dict], flags: dict[str, dict]) -> PretrainRun:
    """[model] begins from the checkpoint that the run goes on from, and may name presets in place of numbers."""
    named = flags.get("weights", {}).get("init") or file.get("weights", {}).get("init")
    begun = next((path for path in (out / "last.pt", named and Path(named)) if path and path.exists()), None)
    base = replace(checkpoint.load(begun)[0].config, classes=0) if begun else SIZES["tiny"]
    return assemble(PretrainRun, {"model": base.to_json()}, _spelt_out(file), _spelt_out(flags))


def _spelt_out(layer: dict[str, dict]) -> dict[str, dict]:
    """A layer with the numbers of the presets that its [model] names."""
    model = dict(layer.get("model", {}))
    numbers = {}
    for kind, presets in PRESETS.items():
        name = model.pop(kind, None)
        if name is not None and name not in presets:
            raise ValueError(f"Expected {kind} to be one of {', '.join(presets)}, got {name}")
        numbers |= presets.get(name, {})
    return layer | {"model": numbers | model}
