"""python -m cavmae <command>"""

import argparse
import sys

import torch

from .adapt import commands as adapt
from .bundles import commands as bundles
from .data import commands as data
from .evaluate import commands as evaluate
from .evaluate import inpaint
from .starter import commands as starter
from .train import commands as train


def main(argv: list[str] | None = None) -> None:
    argv = sys.argv[1:] if argv is None else argv
    args = parser().parse_args(argv, argparse.Namespace(argv=argv))
    torch.set_flush_denormal(True)  # vanishing moments of Adam slow a CPU many times over
    args.run(args)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="cavmae", description="Train, export and measure Earshot's encoders.")
    commands = top.add_subparsers(required=True)
    for room in (data, train, bundles, adapt, evaluate, inpaint, starter):
        room.add_commands(commands)
    return top


if __name__ == "__main__":
    main()
