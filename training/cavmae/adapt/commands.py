"""python -m cavmae adapt"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from ..bundles.bundle import Encoder
from ..bundles.export import expect_place
from ..data.clips import list_folder
from ..data.prepare import PrepareOptions, prepare
from ..data.shards import SPEC, Shards
from ..evaluate.metrics import table
from ..options import add_flags, assemble, given_flags
from .adapt import AdaptOptions, adapt, read_library
from .write import write_adapted

SHARD_MEGABYTES = 8  # a minute's work or two: what a run that is stopped while it prepares does again


@dataclass(frozen=True)
class AdaptRun:
    adapt: AdaptOptions = AdaptOptions()


def add_commands(commands) -> None:
    p = commands.add_parser("adapt", help="fits a bundle to one's own library; writes none where that does not gain")
    p.set_defaults(run=_run)
    p.add_argument("bundle", type=Path)
    p.add_argument("library", type=Path, help="folder of media, or of shards that `prepare --bundle` made")
    p.add_argument("--out", type=Path, required=True, help="folder of the new bundle")
    p.add_argument("--cache", type=Path, default=Path(".cache/adapt"), help="where a folder of media is prepared")
    add_flags(p, AdaptRun)


def _run(args: argparse.Namespace) -> None:
    expect_place(args.out)
    options = assemble(AdaptRun, given_flags(args)).adapt
    encoder = Encoder(args.bundle, options.threads)
    library = read_library(_shards(args.library, encoder, args.cache), encoder)
    adapted = adapt(library, options)
    print(f"before\n{table(adapted.before)}\nafter\n{table(adapted.after)}\n{table([adapted.gain])}", file=sys.stderr)
    if library.skips:
        print(library.skips, file=sys.stderr)
    if not adapted.gains:
        raise SystemExit(f"no bundle was written: {adapted.gain.value} points gained, interval {adapted.gain.interval}")
    bundle = write_adapted(encoder, args.out, adapted, options)
    print(json.dumps({"out": str(args.out), "fingerprint": bundle["fingerprint"]}))


def _shards(library: Path, encoder: Encoder, cache: Path) -> Shards:
    """Shards as they are; a folder of media is prepared, going on where an earlier run stopped."""
    if (library / SPEC).exists():
        return Shards(library)
    name = f"{library.resolve().name}-{encoder.bundle['fingerprint'][:12]}"
    prepare(list_folder(library), encoder.shape, cache / name, PrepareOptions(shard_megabytes=SHARD_MEGABYTES))
    return Shards(cache / name)
