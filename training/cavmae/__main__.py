"""python -m cavmae <command>"""

import argparse
import dataclasses
import json
from pathlib import Path

import torch

from . import evaluate
from .config import SIZES
from .data import Pack
from .export_cavmae import export_cavmae
from .finetune import FinetuneOptions, finetune
from .pretrain import PretrainOptions, pretrain
from .starter import StarterOptions, build, publish


def main(argv: list[str] | None = None) -> None:
    args = parser().parse_args(argv)
    torch.set_flush_denormal(True)  # vanishing moments of Adam slow a CPU many times over
    args.run(args)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="cavmae", description="Train, export and measure Earshot's encoders.")
    commands = top.add_subparsers(required=True)

    p = _command(commands, "pretrain", run_pretrain, "masked reconstruction and contrast on weak pairs")
    p.add_argument("--size", choices=SIZES, default="tiny")
    p.add_argument("--audio-stem", choices=("patch", "mn04"), default="patch")
    p.add_argument("--visual-stem", choices=("patch", "lite0"), default="patch")
    p.add_argument("--audio-mask", choices=("unstructured", "time", "freq", "tf"), default="unstructured")
    p.add_argument("--bidirectional", action="store_true", help="contrast both ways")
    p.add_argument("--teacher", type=Path, help="mn04_as weights, for the stem mn04")
    _training(p, PretrainOptions)

    p = _command(commands, "finetune", run_finetune, "the tagging head")
    p.add_argument("--pretrained", type=Path, required=True, help="checkpoint of pretrain")
    _training(p, FinetuneOptions)

    p = _command(commands, "starter", run_starter, "build, measure and export the starter bundle")
    p.add_argument("--pack", type=Path, required=True)
    p.add_argument("--teacher", type=Path, required=True, help="mn04_as weights")
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--cache", type=Path, default=Path(".cache"))
    _measured(p)
    _options(p, StarterOptions)

    p = _command(commands, "export", run_export, "a checkpoint as a bundle")
    p.add_argument("--checkpoint", type=Path, required=True)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument(
        "--mode", choices=("none", "audio", "visual", "joint"), default="none", help="what the head was tuned on"
    )
    p.add_argument("--licence", default="unstated")
    p.add_argument("--free", action="store_true", help="trained on free data only")

    p = _command(commands, "evaluate", run_evaluate, "retrieval by a bundle's graphs")
    p.add_argument("--bundle", type=Path, required=True)
    p.add_argument("--pack", type=Path)
    p.add_argument("--json", action="store_true")
    _measured(p)
    return top


def _command(commands, name: str, run, text: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    command.set_defaults(run=run)
    return command


def _training(p: argparse.ArgumentParser, options: type) -> None:
    p.add_argument("--pack", type=Path, required=True, help="folder with sounds.jsonl, pictures.jsonl and shards")
    p.add_argument("--out", type=Path, required=True, help="folder of checkpoints; an existing one is resumed")
    p.add_argument("--free", action="store_true", help="only data that may be published with attribution")
    _options(p, options)


def _measured(p: argparse.ArgumentParser) -> None:
    p.add_argument("--clips", type=Path, help="folder of videos with sound")
    p.add_argument("--pairs", type=Path, help="folder of NAME.opus and NAME.webp")


def _options(p: argparse.ArgumentParser, options: type) -> None:
    """One flag for each field of a dataclass."""
    for field in dataclasses.fields(options):
        flag = "--" + field.name.replace("_", "-")
        if field.type is bool or field.type == "bool":
            p.add_argument(flag, action=argparse.BooleanOptionalAction, default=field.default)
        else:
            p.add_argument(flag, type=type(field.default), default=field.default)


def _taken(options: type, args: argparse.Namespace):
    return options(**{field.name: getattr(args, field.name) for field in dataclasses.fields(options)})


def run_pretrain(args: argparse.Namespace) -> None:
    config = dataclasses.replace(
        SIZES[args.size],
        audio_stem=args.audio_stem,
        visual_stem=args.visual_stem,
        audio_mask=args.audio_mask,
        bidirectional=args.bidirectional,
    )
    pretrain(Pack(args.pack, args.free), config, args.out, _taken(PretrainOptions, args), args.teacher)


def run_finetune(args: argparse.Namespace) -> None:
    finetune(Pack(args.pack, args.free), args.pretrained, args.out, _taken(FinetuneOptions, args))


def run_starter(args: argparse.Namespace) -> None:
    torch.set_num_threads(2)
    options, pack = _taken(StarterOptions, args), Pack(args.pack)
    starter = build(pack, args.teacher, args.cache, options)
    bundle = publish(starter, args.out, options, lambda folder: measure(folder, args, pack))
    print(json.dumps({"out": str(args.out), "fingerprint": bundle["fingerprint"]}))


def run_export(args: argparse.Namespace) -> None:
    bundle = export_cavmae(args.checkpoint, args.out, args.mode, args.licence, args.free)
    print(json.dumps({"out": str(args.out), "fingerprint": bundle["fingerprint"]}))


def run_evaluate(args: argparse.Namespace) -> None:
    metrics = measure(args.bundle, args, Pack(args.pack) if args.pack else None)
    print(json.dumps([m.json() for m in metrics], indent=1) if args.json else evaluate.table(metrics))


def measure(folder: Path, args: argparse.Namespace, pack: Pack | None) -> list[evaluate.Metric]:
    encoder = evaluate.Encoder(folder)
    metrics = evaluate.clips(encoder, args.clips) if args.clips else []
    metrics += evaluate.pairs(encoder, args.pairs) if args.pairs else []
    return metrics + (evaluate.concepts(encoder, pack) if pack else [])


if __name__ == "__main__":
    main()
