"""python -m cavmae <command>"""

import argparse
import json
import sys
from pathlib import Path

import torch

from . import (
    adapt_command,
    evaluate,
    import_cavmae,
    inpaint,
    prepare_command,
    starter_command,
    training_commands,
)
from .export import add_precision, exported
from .export_cavmae import Release, export_cavmae


def main(argv: list[str] | None = None) -> None:
    argv = sys.argv[1:] if argv is None else argv
    args = parser().parse_args(argv, argparse.Namespace(argv=argv))
    torch.set_flush_denormal(True)  # vanishing moments of Adam slow a CPU many times over
    args.run(args)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="cavmae", description="Train, export and measure Earshot's encoders.")
    commands = top.add_subparsers(required=True)

    prepare_command.add_command(commands)
    training_commands.add_commands(commands)

    starter_command.add_command(commands)
    adapt_command.add_command(commands)

    p = _command(commands, "export", run_export, "a checkpoint as a bundle")
    p.add_argument("--checkpoint", type=Path, required=True)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument(
        "--mode", choices=("none", "audio", "visual", "joint"), default="none", help="what the head was tuned on"
    )
    p.add_argument("--licence", default="unstated")
    p.add_argument("--free", action="store_true", help="trained on free data only")
    add_precision(p)

    import_cavmae.add_commands(commands)
    evaluate.add_commands(commands)
    inpaint.add_command(commands)
    return top


def _command(commands, name: str, run, text: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    command.set_defaults(run=run)
    return command


def run_export(args: argparse.Namespace) -> None:
    release = Release(args.licence, args.free, args.precision, args.judged_on)
    bundle = export_cavmae(args.checkpoint, args.out, args.mode, release)
    print(json.dumps({"out": str(args.out), **exported(bundle)}))


if __name__ == "__main__":
    main()
