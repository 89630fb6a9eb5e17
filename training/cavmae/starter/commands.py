"""python -m cavmae starter"""

import argparse
import json
from pathlib import Path

import torch

from ..bundles.export import add_precision, expect_place, exported
from ..data.pack import Pack
from ..evaluate import commands as evaluate
from ..evaluate.metrics import Metric
from ..options import add_flags, assemble, given_flags
from .starter import StarterRun, build, publish


def add_commands(commands) -> None:
    p = commands.add_parser("starter", help="builds, measures and exports the starter bundle")
    p.set_defaults(run=_run)
    p.add_argument("--pack", type=Path, required=True, help="folder with sounds.jsonl, pictures.jsonl and their shards")
    p.add_argument("--teacher", type=Path, required=True, help="mn04_as weights")
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--cache", type=Path, default=Path(".cache"), help="where features are kept; default: %(default)s")
    evaluate.add_benchmarks(p)
    add_precision(p)
    add_flags(p, StarterRun)


def _run(args: argparse.Namespace) -> None:
    expect_place(args.out)
    torch.set_num_threads(2)
    run, pack = assemble(StarterRun, given_flags(args)), Pack(args.pack)
    starter = build(pack, args.teacher, args.cache, run)

    def measure(made: Path) -> list[Metric]:
        return evaluate.measure(made, args.clips, args.pairs, pack)

    bundle = publish(starter, args.out, run, measure, args.precision, args.judged_on)
    print(json.dumps({"out": str(args.out), **exported(bundle)}))
