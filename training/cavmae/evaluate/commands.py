"""python -m cavmae evaluate retrieval | tagging | probe: what a bundle's graphs are worth."""

import argparse
import json
from pathlib import Path

from ..bundles.bundle import Encoder
from ..data.pack import Pack
from . import retrieval
from .labelled import Labelled, pack_pictures, pack_sounds, shard_samples
from .metrics import Metric, table
from .plots import Result
from .probe import FOLDS, probe
from .report import write_report
from .tagging import Tagger, tag


def add_commands(commands) -> None:
    kinds = commands.add_parser("evaluate", help="what a bundle's graphs are worth").add_subparsers(required=True)
    p = _command(kinds, "retrieval", run_retrieval, "sound to picture and back, by rank and by concept")
    add_benchmarks(p)
    p.add_argument("--pack", type=Path, help="pack whose val split is searched by concept")

    p = _command(kinds, "tagging", run_tagging, "mAP, AUC, d' and top-1 in every mode that the bundle offers")
    data = p.add_mutually_exclusive_group(required=True)
    data.add_argument("--shards", type=Path, help="folder that prepare made")
    data.add_argument("--pack", type=Path, help="pack whose val split is tagged")
    p.add_argument("--split", choices=("val", "test", "train", "all"), default="val", help="of the shards")
    p.add_argument("--val-share", type=float, default=0.05, help="of the shards' recordings, as in training")

    p = _command(kinds, "probe", run_probe, "linear probe on the ESC-50 clips of a pack")
    p.add_argument("--pack", type=Path, required=True)
    p.add_argument("--folds", type=int, nargs="+", choices=FOLDS, default=[5], help="tested, each by the other four")
    p.add_argument("--output", default="embedding", help="any float output of the audio graph; tokens are averaged")


def add_benchmarks(p: argparse.ArgumentParser) -> None:
    p.add_argument("--clips", type=Path, help="folder of videos with sound")
    p.add_argument("--pairs", type=Path, help="folder of NAME.opus and NAME.webp")


def measure(folder: Path, clips: Path | None, pairs: Path | None, pack: Pack | None) -> list[Metric]:
    """Retrieval on all that is given."""
    return [metric for result in retrievals(folder, clips, pairs, pack) for metric in result.metrics()]


def retrievals(folder: Path, clips: Path | None, pairs: Path | None, pack: Pack | None) -> list[Result]:
    encoder, found = Encoder(folder), []
    if clips:
        found.append(retrieval.clips(encoder, clips))
    if pairs:
        found.append(retrieval.pairs(encoder, pairs))
    if pack:
        found.append(retrieval.concepts(encoder, pack))
    return found


def run_retrieval(args: argparse.Namespace) -> None:
    results = retrievals(args.bundle, args.clips, args.pairs, Pack(args.pack) if args.pack else None)
    if not results:
        raise SystemExit("Expected at least one of --clips, --pairs and --pack")
    _tell(args, results)


def run_tagging(args: argparse.Namespace) -> None:
    encoder = Encoder(args.bundle)
    _tell(args, [result for labelled in _labelled_sets(encoder, args) for result in tag(encoder, labelled)])


def run_probe(args: argparse.Namespace) -> None:
    _tell(args, [probe(Encoder(args.bundle), Pack(args.pack), args.folds, args.output)])


def _labelled_sets(encoder: Encoder, args: argparse.Namespace) -> list[Labelled]:
    modes = Tagger(encoder).modes
    if not modes:
        raise SystemExit(f"Expected a bundle that tags, got {encoder.folder} whose graphs give no logits")
    if args.shards:
        split = None if args.split == "all" else args.split
        return [shard_samples(encoder, args.shards, split, args.val_share)]
    pack = Pack(args.pack)
    sounds = [pack_sounds(encoder, pack, "joint" in modes)] if modes != ["visual"] else []
    return sounds + ([pack_pictures(encoder, pack)] if "visual" in modes else [])


def _command(kinds, name: str, run, text: str) -> argparse.ArgumentParser:
    p = kinds.add_parser(name, help=text, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.set_defaults(run=run)
    p.add_argument("--bundle", type=Path, required=True)
    p.add_argument("--report", type=Path, metavar="FILE.md", help="Markdown with plots beside it")
    p.add_argument("--json", action="store_true")
    return p


def _tell(args: argparse.Namespace, results: list[Result]) -> None:
    metrics = [metric for result in results for metric in result.metrics()]
    print(json.dumps([metric.json() for metric in metrics], indent=1) if args.json else table(metrics))
    if args.report:
        bundle = json.loads((args.bundle / "bundle.json").read_text())
        write_report(args.report, args.argv, bundle, metrics, results)
