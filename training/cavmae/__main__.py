"""python -m cavmae <command>"""

import argparse
import sys

import torch

from .adapt import commands as adapt
from .bundles import commands as bundles
from .data import commands as data
from .evaluate import commands as evaluate
from .evaluate import inpaint
from .media.ffmpeg import BadSample
from .starter import commands as starter
from .train import commands as train


def main(argv: list[str] | None = None) -> None:
    argv = sys.argv[1:] if argv is None else argv
    args = parser().parse_args(argv, argparse.Namespace(argv=argv))
    torch.set_flush_denormal(True)  # vanishing moments of Adam slow a CPU many times over
    try:
        args.run(args)
    except (ValueError, OSError, FloatingPointError, BadSample) as error:
        if args.traceback:
            raise
        raise SystemExit(f"cavmae: {told(error)}") from error


def told(error: Exception) -> str:
    """What was wrong with what was given, in one line; `--traceback` shows where it was met."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.strerror}: {error.filename}"
    return str(error) or type(error).__name__


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="cavmae", description="Train, export and measure Earshot's encoders.")
    top.add_argument("--traceback", action="store_true", help="before the command: where an error was met")
    commands = top.add_subparsers(required=True)
    for room in (data, train, bundles, adapt, evaluate, inpaint, starter):
        room.add_commands(commands)
    return top


if __name__ == "__main__":
    main()
