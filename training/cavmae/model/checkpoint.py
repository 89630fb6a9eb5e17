"""Checkpoints: weights with the config that made them, and what resuming needs."""

import os
from dataclasses import asdict
from pathlib import Path
from pickle import UnpicklingError

import torch

from .cav_mae import CavMae
from .config import CavMaeConfig
from .sync import build


def save(path: Path, model: CavMae, step: int, **more) -> None:
    """In one step: a half-written file never stands in the old one's place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {"config": model.config.to_json(), "model": model.state_dict(), "step": step, **more}
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, path)


def load(path: Path) -> tuple[CavMae, dict]:
    """The model, by its averaged weights where the run kept an average, and all that was saved."""
    state = _read(path)
    model = build(CavMaeConfig(**state["config"]))
    model.load_state_dict(state["model"] | state.get("average", {}).get("weights", {}))
    return model, state


def _read(path: Path) -> dict:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError, KeyError) as error:
        raise ValueError(f"Expected a checkpoint of this pipeline, got {path}, which torch does not read") from error
    if not isinstance(state, dict) or not {"config", "model"} <= state.keys():
        raise ValueError(f"Expected a checkpoint of this pipeline, got {path}: `import` takes published weights")
    return state


def resumable(out: Path, config: CavMaeConfig) -> dict | None:
    """What out/last.pt holds, where there is one; refused if it is of another model."""
    path = out / "last.pt"
    if not path.exists():
        return None
    state = load(path)[1]
    before, now = asdict(CavMaeConfig(**state["config"])), asdict(config)
    changed = [f"{name} {before[name]!r} there, {now[name]!r} here" for name in now if before[name] != now[name]]
    if changed:
        raise ValueError(f"Expected the model of {path} to go on from, or another --out: {'; '.join(changed)}")
    return state


FRESH = ("decoder_", "mask_token", "mlp_head")


def start_from(path: Path, config: CavMaeConfig) -> CavMae:
    """A model of `config` that begins with a checkpoint's weights; decoder and tagging head may begin anew."""
    before, _ = load(path)
    model = build(config)
    given = before.state_dict()
    own = model.state_dict()
    fitting = {name: value for name, value in given.items() if name in own and value.shape == own[name].shape}
    refused = sorted(name for name in given.keys() | own.keys() if name not in fitting and not name.startswith(FRESH))
    if refused:
        raise ValueError(f"Expected weights of the same names and shapes in {path}, not so: {', '.join(refused)}")
    model.load_state_dict(own | fitting)
    return model
