"""python -m cavmae pretrain, finetune"""

import argparse
from pathlib import Path
from typing import Any

from ..options import add_flags, assemble, given_flags, read_toml
from .finetune import FinetuneRun, finetune
from .pretrain import PRESETS, PretrainRun, configure, pretrain


def add_commands(commands) -> None:
    p = _command(commands, "pretrain", PretrainRun, "masked reconstruction and contrast; under torchrun on many GPUs")
    for preset, named in PRESETS.items():
        p.add_argument(f"--{preset}", choices=named, dest=f"model.{preset}", default=argparse.SUPPRESS)
    p.set_defaults(run=lambda args: pretrain(configure(args.out, *_layers(args)), args.out))
    p = _command(commands, "finetune", FinetuneRun, "the tagging head, and the streams with it")
    p.set_defaults(run=lambda args: finetune(assemble(FinetuneRun, *_layers(args)), args.out))


def _command(commands, name: str, run: Any, text: str) -> argparse.ArgumentParser:
    p = commands.add_parser(name, help=text)
    p.add_argument("--out", type=Path, required=True, help="folder of the run; one that holds last.pt is gone on with")
    p.add_argument(
        "--config", type=Path, help="TOML with the sections below; default: OUT/config.toml, if there is one"
    )
    add_flags(p, run)
    return p


def _layers(args: argparse.Namespace) -> tuple[dict[str, dict], dict[str, dict]]:
    """What the file says, and what the flags say over it."""
    own = args.out / "config.toml"
    file = args.config or (own if own.exists() else None)
    return read_toml(file) if file else {}, given_flags(args)
