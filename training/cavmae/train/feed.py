"""Where a run's samples come from."""

from dataclasses import dataclass
from pathlib import Path

from ..data.pack import Pack
from ..data.sources import ShardSource, Source, WeakPairSource, segment_shape
from ..model.config import CavMaeConfig
from .kept import KeptPairs


@dataclass(frozen=True)
class DataOptions:
    pack: Path | None = None  # sounds.jsonl, pictures.jsonl and their shards
    shards: Path | None = None  # what `prepare` wrote
    free: bool = False  # of a pack, only what may be published with attribution
    balanced: bool = False  # of shards, drawn by the rarity of their labels (SPEC 8)
    val_share: float = 0.05  # of the shards' recordings, kept back
    keep: Path | None = None  # folder where a pack's spectrograms and pictures stay once they are made

    def __post_init__(self):
        if self.pack and self.shards:
            raise ValueError("Expected --pack or --shards, got both")
        if self.balanced and not self.shards:
            raise ValueError("Expected --shards with --balanced: a pack draws its concepts evenly as it is")
        if self.keep and not self.pack:
            raise ValueError("Expected --pack with --keep: shards are too many to be kept unpacked")


def open_source(
    options: DataOptions, config: CavMaeConfig, batch: int, seed: int, needs: tuple[str, ...] = ("audio", "visual")
) -> Source:
    """`needs` names the modalities that every sample has."""
    shape = segment_shape(config, config.windows)
    if options.pack:
        pack = Pack(options.pack, options.free)
        if options.keep:
            return KeptPairs(pack, config, options.keep, batch, seed)
        return WeakPairSource(pack, shape, batch, seed)
    if options.shards:
        how = {"needs": needs, "balanced": options.balanced, "val_share": options.val_share}
        return ShardSource(options.shards, shape, batch, seed, "train", **how)
    raise ValueError("Expected --pack or --shards, got neither")
