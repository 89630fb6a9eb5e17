"""Fine-tuning: the supervised AudioSet tagging head (SPEC 8) on pretrained streams."""

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from . import checkpoint
from .data import CLASSES, Pack
from .model import CavMae
from .pretrain import Batch, Preparation, train, weak_batches

MODES = ("joint", "audio", "visual")


@dataclass(frozen=True)
class FinetuneOptions:
    mode: str = "joint"  # which stream feeds the head
    steps: int = 500
    batch: int = 32
    lr: float = 5e-5
    head_lr: float = 100.0  # times lr
    weight_decay: float = 0.05
    warmup: int = 20
    seed: int = 0
    save_every: int = 100
    threads: int = 2
    freeze_base: bool = False  # linear probe


def finetune(pack: Pack, pretrained: Path, out: Path, options: FinetuneOptions) -> CavMae:
    """Goes on from out/last.pt where there is one, else from `pretrained`."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    last = out / "last.pt"
    model, state = checkpoint.load(last) if last.exists() else (with_head(pretrained), {"step": 0})
    for name, parameter in model.named_parameters():
        if options.freeze_base and not name.startswith("mlp_head"):
            parameter.requires_grad_(False)
    prepare = Preparation(model.config)

    def loss(batch: Batch) -> dict[str, Tensor]:
        return {"total": tagging_loss(model, *prepare(batch), batch.labels, options.mode)}

    batches = weak_batches(pack, model.config, options.batch, options.seed + state["step"])
    train(model, loss, batches, out, options, state)
    return model


def with_head(pretrained: Path) -> CavMae:
    """The pretrained model with a fresh head of 527 classes."""
    before, _ = checkpoint.load(pretrained)
    model = CavMae(before.config.with_classes(CLASSES))
    missing, unexpected = model.load_state_dict(before.state_dict(), strict=False)
    if unexpected or any(not name.startswith("mlp_head") for name in missing):
        raise ValueError(f"Expected a pretrained CAV-MAE, missing {missing}, unexpected {unexpected}")
    return model


def tagging_loss(model: CavMae, fbank: Tensor, image: Tensor, labels: Tensor, mode: str) -> Tensor:
    """Binary cross-entropy over the classes."""
    return F.binary_cross_entropy_with_logits(tag(model, fbank, image, mode), labels)


def tag(model: CavMae, fbank: Tensor, image: Tensor, mode: str) -> Tensor:
    if mode not in MODES:
        raise ValueError(f"Expected one of {MODES}, got {mode!r}")
    if mode == "audio":
        return model.classify(model.encode_audio(fbank)[0])
    if mode == "visual":
        return model.classify(model.encode_visual(image)[0])
    tower_a, tower_v = model.tower_a(model.tokens_a(fbank)), model.tower_v(model.tokens_v(image))
    return model.classify(model.encode_joint(tower_a, tower_v))
