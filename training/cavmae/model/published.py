"""The authors' state dicts, in and out (SPEC 11): which kind a file is, what it must hold, how long a sound it hears.

Their classes hold two norms a block that are never used outside the joint block. Those are dropped on the way in, and
written as fresh norms on the way out.
"""

import math
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor

from .cav_mae import CavMae
from .config import CavMaeConfig
from .encoders import heard_samples
from .frontend import FbankParams
from .sync import build

State = dict[str, Tensor]

HEAD, DECODER_HEAD = 64, 32  # sizes of one attention head in every published file; the tensors do not tell
VISUAL_HALF = ("patch_embed_v", "bring_v", "modality_v", "pos_embed_v", "blocks_v", "norm_v")
UNUSED = {"cls_token_a", "cls_token_v", "cls_token_av"}  # beside a CAV-MAE that was begun from an image MAE
NESTED = ("model", "state_dict")  # where trainers put the weights among other things
DEAD_NORM = re.compile(r"((?:blocks_[av]|decoder_blocks)\.\d+\.norm[12])(\.\w+)")
ISSUES_NAMED = 4


@dataclass(frozen=True)
class Published:
    """What a file holds. `kind` is pretrained, finetuned, finetuned-audio (no visual half) or sync."""

    kind: str
    model: CavMae


def read(path: Path, seconds: float | None = None, heads: tuple[int, int] | None = None) -> Published:
    """Every tensor of the file in its place, or an error. `seconds` shortens the sound that the model hears."""
    try:
        state = _tensors(path)
        kind = kind_of(state)
        config = config_of(kind, state, heads)
        _expect_layout(state, layout(kind, config))
        if seconds is not None:
            state, config = shortened(state, config, seconds)
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error
    model = _skeleton(kind, config)
    model.load_state_dict({name: state[name] for name in model.state_dict()}, assign=True)
    return Published(kind, model.eval())


def official(model: CavMae, prefix: str = "module.") -> State:
    """The state dict that the authors' class of the same kind loads."""
    kind, config = _kind_of_model(model)
    state = model.state_dict()
    return {
        prefix + name: state[name].clone() if name in state else _fresh_norm(name, shape)
        for name, shape in layout(kind, config).items()
    }


def kind_of(names: Collection[str]) -> str:
    """By the tensors that one kind alone has."""
    if "register_tokens" in names:
        return "sync"
    if "mask_token" in names:
        return "pretrained"
    if "mlp_head.1.weight" in names:
        return "finetuned" if "norm_v.weight" in names else "finetuned-audio"
    raise ValueError(
        "Expected the state dict of a CAV-MAE (with mask_token, mlp_head or register_tokens), "
        f"got {_some(sorted(names))}"
    )


def config_of(kind: str, state: State, heads: tuple[int, int] | None = None) -> CavMaeConfig:
    """Every size, read from the shapes."""
    dim, patch = _size(state, "modality_a", -1), _size(state, "patch_embed_a.proj.weight", -1)
    decodes, sees = kind in ("pretrained", "sync"), kind != "finetuned-audio"
    decoder_dim = _size(state, "mask_token", -1) if decodes else 0
    encoder_heads, decoder_heads = heads or _published_heads(dim, decoder_dim)
    sync = kind == "sync"
    return CavMaeConfig(
        dim=dim,
        heads=encoder_heads,
        tower_depth=_depth(state, "blocks_a"),
        joint_depth=_depth(state, "blocks_u"),
        decoder_dim=decoder_dim,
        decoder_heads=decoder_heads if decodes else 0,
        decoder_depth=_depth(state, "decoder_blocks") if decodes else 0,
        mlp_ratio=_size(state, "blocks_u.0.mlp.fc1.weight", 0) // dim,
        kind="sync" if sync else "cav-mae",
        patch=patch,
        frames=_size(state, "pos_embed_a", 1) // (CavMaeConfig.mel_bins // patch) * patch,
        image=math.isqrt(_size(state, "pos_embed_v", 1)) * patch if sees else CavMaeConfig.image,
        classes=0 if decodes else _size(state, "mlp_head.1.weight", 0),
        windows=16 if sync else 1,
        registers=_size(state, "register_tokens", 0) // 2 if sync else 0,
    )


def layout(kind: str, config: CavMaeConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a published file, without `module.`."""
    ours = {name: tuple(value.shape) for name, value in _skeleton(kind, config).state_dict().items()}
    dead = {f"{m[1]}_{stream}{m[2]}": ours[m[0]] for m in map(DEAD_NORM.fullmatch, ours) if m for stream in "av"}
    return ours | dead


def shortened(state: State, config: CavMaeConfig, seconds: float) -> tuple[State, CavMaeConfig]:
    """The first columns of the positional tables' (mel, time) grids, as many as `seconds` of sound fill."""
    p = FbankParams()
    samples, whole = round(seconds * p.sample_rate), heard_samples(config)
    if not p.window <= samples <= whole:
        raise ValueError(f"Expected {p.window} to {whole} samples of sound, as its tables cover, got {samples}")
    if samples == whole:
        return state, config
    columns = math.ceil((1 + (samples - p.window) // p.hop) / config.patch)
    tables = {
        name: state[name].unflatten(1, (config.mel_bins // config.patch, -1))[:, :, :columns].flatten(1, 2)
        for name in ("pos_embed_a", "decoder_pos_embed_a")
        if name in state
    }
    return state | tables, replace(config, frames=columns * config.patch, seconds=seconds)


def _tensors(path: Path) -> State:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError, KeyError, IndexError) as error:
        raise ValueError(f"Expected a file of torch tensors and nothing else, torch says: {error!r}") from error
    if isinstance(state, dict) and {"config", "model"} <= state.keys():
        raise ValueError("Expected published weights, got a checkpoint of this pipeline: use `export`")
    if isinstance(state, dict):
        state = next((state[name] for name in NESTED if isinstance(state.get(name), dict)), state)
    if not _is_state(state):
        raise ValueError(f"Expected a state dict, names to tensors, got another {type(state).__name__}")
    tensors = {name.removeprefix("module."): value.float() for name, value in state.items()}
    if len(tensors) < len(state):
        raise ValueError("Expected each tensor once, got some both with `module.` before its name and without")
    if broken := sorted(name for name, value in tensors.items() if not value.isfinite().all()):
        raise ValueError(f"Expected numbers, got tensors with others among them: {_some(broken)}")
    return _used(tensors)


def _is_state(read: object) -> bool:
    return isinstance(read, dict) and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in read.items())


def _used(state: State) -> State:
    """Without the three class tokens that no forward pass of the authors' reads. Fewer of them are another model's."""
    return {name: value for name, value in state.items() if name not in UNUSED} if state.keys() >= UNUSED else state


def _skeleton(kind: str, config: CavMaeConfig) -> CavMae:
    """A model without numbers: what no file fills cannot be computed with."""
    with torch.device("meta"):
        model = build(config)
    for part in VISUAL_HALF if kind == "finetuned-audio" else ():
        delattr(model, part)
    return model


def _published_heads(dim: int, decoder_dim: int) -> tuple[int, int]:
    if dim % HEAD or decoder_dim % DECODER_HEAD:
        raise ValueError(
            f"Expected dimensions in multiples of {HEAD} and {DECODER_HEAD}, as published attention heads have them, "
            f"got {dim} and {decoder_dim}: say --heads"
        )
    return dim // HEAD, decoder_dim // DECODER_HEAD


def _kind_of_model(model: CavMae) -> tuple[str, CavMaeConfig]:
    config = model.config
    if (config.audio_stem, config.visual_stem) != ("patch", "patch"):
        raise ValueError(f"Expected the paper's patch stems, got {config.audio_stem} and {config.visual_stem}")
    if config.classes and config.kind == "cav-mae":
        return "finetuned", replace(config, decoder_depth=0)  # their tagger has no decoder
    if config.classes or not config.decoder_depth:
        raise ValueError("Expected a pretrained model with its decoder, or a CAV-MAE with a tagging head")
    return ("sync" if config.kind == "sync" else "pretrained"), config


def _fresh_norm(name: str, shape: tuple[int, ...]) -> Tensor:
    return torch.ones(shape) if name.endswith("weight") else torch.zeros(shape)


def _expect_layout(state: State, expected: dict[str, tuple[int, ...]]) -> None:
    missing, unexpected = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    shapes = [
        f"{name} {tuple(state[name].shape)} for {shape}"
        for name, shape in expected.items()
        if name in state and tuple(state[name].shape) != shape
    ]
    found = {"missing": missing, "unexpected": unexpected, "of another shape": shapes}
    issues = [f"{what}: {_some(names)}" for what, names in found.items() if names]
    if issues:
        raise ValueError(f"Expected the {len(expected)} tensors of its kind, got {'; '.join(issues)}")


def _size(state: State, name: str, axis: int) -> int:
    if name not in state:
        raise ValueError(f"Expected a tensor {name}, got {_some(sorted(state))}")
    return state[name].shape[axis]


def _depth(state: State, stack: str) -> int:
    return len({name.split(".")[1] for name in state if name.startswith(f"{stack}.")})


def _some(names: list[str]) -> str:
    more = len(names) - ISSUES_NAMED
    return ", ".join(names[:ISSUES_NAMED]) + (f" and {more} more" if more > 0 else "") or "nothing"
