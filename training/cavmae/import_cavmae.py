"""Published weights as a bundle or as a checkpoint to train on from, and a checkpoint as published weights."""

import argparse
import hashlib
import json
from dataclasses import dataclass, fields
from pathlib import Path

import torch

from . import checkpoint
from .data import read_labels
from .encoders import heard_samples
from .export import add_precision, exported
from .export_cavmae import Release, write_model
from .frontend import FbankParams
from .published import Published, official, read

TUNED = ("multimodal", "audio", "visual")


@dataclass(frozen=True)
class ImportOptions:
    tuned: str | None = None  # what the tagging head was tuned on
    tagging: Path | None = None  # the file that tags, where another one searches
    seconds: float | None = None  # of sound in a segment; the file's own where not said
    labels: Path | None = None  # CSV of the classes, where they are not AudioSet's 527
    heads: tuple[int, int] | None = None  # of the encoder and the decoder, where they are not the paper's


def import_bundle(file: Path, folder: Path, options: ImportOptions, release: Release = Release()) -> dict:
    """Searches by `file`; tags by `options.tagging`, else by `file` where it has a head."""
    search = read(file, options.seconds, options.heads)
    if search.kind == "finetuned-audio":
        raise ValueError(
            f"{file.name}: Expected weights that hear and see, got the audio half alone, which can tag but not search: "
            f"import a pretrained file and add --tagging {file.name}"
        )
    tags = _tagger(search, options) if options.tagging else search
    return write_model(
        search.model,
        folder,
        tagging_mode(tags.kind, options.tuned),
        release,
        tagger=tags.model,
        labels=read_labels(options.labels) if options.labels else None,
        sources={"search": _source(file), **({"tags": _source(options.tagging)} if options.tagging else {})},
    )


def import_checkpoint(file: Path, path: Path, options: ImportOptions) -> None:
    published = read(file, options.seconds, options.heads)
    if published.kind == "finetuned-audio":
        raise ValueError(f"{file.name}: Expected weights that hear and see, got the audio half alone")
    checkpoint.save(path, published.model, 0)


def tagging_mode(kind: str, tuned: str | None) -> str:
    """The mode of a bundle, from a file's kind and from what is said of its head."""
    if kind in ("pretrained", "sync"):
        if tuned:
            raise ValueError(f"Expected no --tuned for a {kind} file, which has no tagging head, got {tuned}")
        return "none"
    if kind == "finetuned-audio" and tuned in (None, "audio"):
        return "audio"
    if kind == "finetuned" and tuned in TUNED:
        return "joint" if tuned == "multimodal" else tuned
    raise ValueError(
        f"Expected --tuned {'audio' if kind == 'finetuned-audio' else ', '.join(TUNED)} "
        f"(the weights do not tell what their head was tuned on), got {tuned}"
    )


def add_commands(commands) -> None:
    """`import` and `export-weights`."""
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

    p = commands.add_parser("export-weights", help="a checkpoint in the published layout")
    p.set_defaults(run=_run_export_weights)
    p.add_argument("--checkpoint", type=Path, required=True)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--bare", action="store_true", help="names without `module.`")


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
    heads = [model.config.heads, model.config.decoder_heads]  # the only sizes that the layout does not tell
    print(json.dumps({"out": str(args.out), "heads": heads}))


def _tagger(search: Published, options: ImportOptions) -> Published:
    """Cut to the sound that the searching model hears."""
    seconds = heard_samples(search.model.config) / FbankParams().sample_rate
    tags = read(options.tagging, seconds, options.heads)
    if not tags.model.config.classes:
        raise ValueError(f"{options.tagging.name}: Expected fine-tuned weights to tag with, got {tags.kind} ones")
    return tags


def _source(file: Path) -> dict:
    with file.open("rb") as stream:
        return {"file": file.name, "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}
