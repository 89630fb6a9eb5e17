"""python -m cavmae prepare"""

import argparse
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

from ..media.shape import RESIZES, SegmentShape
from .clips import Listing, list_csv, list_folder
from .prepare import PrepareOptions, prepare

CAV_MAE = SegmentShape(16_000, 160_000, "first", 224, 224, "cover", frames=10)


def add_commands(commands) -> None:
    options = PrepareOptions()
    p = commands.add_parser("prepare", help="media files into shards for training; goes on where it stopped")
    p.set_defaults(run=_run)
    p.add_argument("input", type=Path, help="folder of media, or a CSV of AudioSet or VGGSound")
    p.add_argument("--media", type=Path, help="folder of the CSV's files: ID.mp4, ID_START.mp4 and the like")
    p.add_argument("--out", type=Path, required=True, help="folder of the shards")
    p.add_argument("--bundle", type=Path, help="prepares what it takes; default: what the published CAV-MAE takes")
    p.add_argument("--rate", type=int, help="of sound, in Hz")
    p.add_argument("--seconds", type=float, help="of a segment")
    p.add_argument("--channels", choices=("first", "mean"), help="what is heard of several channels")
    p.add_argument("--frames", type=int, help="of a segment")
    p.add_argument("--size", type=int, help="of a frame, in pixels a side")
    p.add_argument("--resize", choices=RESIZES, help="all of a frame, all but ends beyond 4:3, or the middle")
    p.add_argument("--workers", type=int, default=options.workers, help="clips at once; default: %(default)s")
    p.add_argument("--shard-megabytes", type=int, default=options.shard_megabytes, help="default: %(default)s")


def _run(args: argparse.Namespace) -> None:
    if not (shutil.which("ffmpeg") and shutil.which("ffprobe")):
        raise ValueError("Expected ffmpeg and ffprobe on the path, got none: install ffmpeg 5 or later")
    options = PrepareOptions(args.workers, args.shard_megabytes)
    print(json.dumps(prepare(_listing(args.input, args.media), _shape(args), args.out, options), indent=1))


def _listing(source: Path, media: Path | None) -> Listing:
    if source.is_dir():
        return list_folder(source)
    if not source.is_file():
        raise ValueError(f"Expected a folder of media or a CSV, got {source}, which is neither")
    if media is None:
        raise ValueError(f"Expected --media, the folder of the files that {source} names")
    return list_csv(source, media)


def _shape(args: argparse.Namespace) -> SegmentShape:
    base = SegmentShape.of_bundle(args.bundle) if args.bundle else CAV_MAE
    for name in ("rate", "seconds", "frames", "size"):
        value = getattr(args, name)
        if value is not None and not 0 < value < math.inf:
            raise ValueError(f"Expected --{name} above 0, got {value}")
    rate, seconds = args.rate or base.sample_rate, args.seconds or base.seconds
    return replace(
        base,
        sample_rate=rate,
        samples=round(rate * seconds),
        channels=args.channels or base.channels,
        height=args.size or base.height,
        width=args.size or base.width,
        resize=args.resize or base.resize,
        frames=args.frames or base.frames,
    )
