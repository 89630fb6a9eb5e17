"""Checkpoints: weights with the config that made them, and the optimiser's state for resuming."""

import os
from pathlib import Path

import torch

from .config import CavMaeConfig
from .model import CavMae


def save(path: Path, model: CavMae, step: int, optimizer=None) -> None:
    """In one step: a half-written file never stands in the old one's place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {"config": model.config.to_json(), "model": model.state_dict(), "step": step}
    if optimizer is not None:
        state["optimizer"] = optimizer.state_dict()
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, path)


def load(path: Path) -> tuple[CavMae, dict]:
    state = torch.load(path, map_location="cpu", weights_only=True)
    model = CavMae(CavMaeConfig(**state["config"]))
    model.load_state_dict(state["model"])
    return model, state
