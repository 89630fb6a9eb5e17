"""python -m cavmae export, import, strip, export-weights"""

import argparse
import json
from dataclasses import fields
from pathlib import Path

import torch

from ..model import checkpoint
from ..model.published import official
from .export import add_precision, exported
from .export_cavmae import Release, export_cavmae
from .import_cavmae import TUNED, ImportOptions, import_bundle, import_checkpoint
from .strip import strip_bundle


def add_commands(commands) -> None:
    p = commands.add_parser("export", help="a checkpoint as a bundle")
    p.set_defaults(run=_run_export)
    p.add_argument("--checkpoint", type=Path, required=True)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument(
        "--mode", choices=("none", "audio", "visual", "joint"), help="what the head was tuned on, where it does not say"
    )
    p.add_argument("--licence", default="unstated")
    p.add_argument("--free", action="store_true", help="trained on free data only")
    add_precision(p)

    p = commands.add_parser("import", help="published weights as a bundle, a checkpoint, or both")
    p.set_defaults(run=_run_import)
    p.add_argument("file", type=Path, help="state dict of CAVMAE, CAVMAEFT, CAVMAEFTAudio or CAVMAESync")
    p.add_argument("--out", type=Path, help="folder of the bundle")
    p.add_argument("--checkpoint", type=Path, help="file to train on from")
    p.add_argument("--tuned", choices=TUNED, help="what the tagging head was tuned on: the weights do not tell")
    p.add_argument("--tagging", type=Path, help="fine-tuned file that tags, where FILE is to search alone")
    p.add_argument("--seconds", type=float, help="of sound in a segment, where less than the file's own")
    p.add_argument("--labels", type=Path, help="CSV of index, mid, display_name, where not AudioSet's 527")
    p.add_argument("--heads", type=int, nargs=2, metavar=("ENCODER", "DECODER"), help="where not dim / 64 and dim / 32")
    p.add_argument("--licence", default="unstated", help="of the weights")
    add_precision(p)

    p = commands.add_parser("strip", help="a bundle without notes of its exporter; libraries of it still open")
    p.set_defaults(run=_run_strip)
    p.add_argument("bundle", type=Path)

    p = commands.add_parser("export-weights", help="a checkpoint in the published layout")
    p.set_defaults(run=_run_export_weights)
    p.add_argument("--checkpoint", type=Path, required=True)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--bare", action="store_true", help="names without `module.`")


def _run_export(args: argparse.Namespace) -> None:
    release = Release(args.licence, args.free, args.precision, args.judged_on)
    bundle = export_cavmae(args.checkpoint, args.out, args.mode, release)
    print(json.dumps({"out": str(args.out), **exported(bundle)}))


def _run_strip(args: argparse.Namespace) -> None:
    print(json.dumps({"bundle": str(args.bundle), "stripped": strip_bundle(args.bundle)}))


def _run_import(args: argparse.Namespace) -> None:
    options = ImportOptions(**{field.name: getattr(args, field.name) for field in fields(ImportOptions)})
    release = Release(args.licence, precision=args.precision, judged_on=args.judged_on)
    if not (args.out or args.checkpoint):
        raise SystemExit("Expected --out for a bundle, --checkpoint for training, or both, got neither")
    if args.checkpoint:
        import_checkpoint(args.file, args.checkpoint, options)
    if args.out:
        bundle = import_bundle(args.file, args.out, options, release)
        print(json.dumps({"out": str(args.out), **exported(bundle)}))


def _run_export_weights(args: argparse.Namespace) -> None:
    model, _ = checkpoint.load(args.checkpoint)
    torch.save(official(model, "" if args.bare else "module."), args.out)
    untold = {"heads": [model.config.heads, model.config.decoder_heads], "seconds": model.config.seconds}
    print(json.dumps({"out": str(args.out), **untold}))  # what the layout does not tell, and `import` takes
