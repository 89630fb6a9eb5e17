"""What the frozen stems of the starter say about a pack, cached: pooled features and logits of each item."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..bundles.graph import Graph, export_graph, open_graph
from ..data.pack import Item, Pack, skipping
from ..media.decode import decode_picture, decode_sound, pad
from ..model.frontend import LogMel, LogMelParams, lite_pixels
from ..model.stems import EfficientNetLite, Mn04


@dataclass(frozen=True)
class Features:
    """Rows in the order of `items`."""

    items: list[Item]
    pool: Tensor  # [n, C]
    logits: Tensor  # [n, classes]


class SoundStem(nn.Module):
    """Samples -> (pool [B, 384], logits [B, 527])."""

    outputs = ("pool", "logits")

    def __init__(self, net: Mn04):
        super().__init__()
        self.frontend, self.net = LogMel(), net

    def forward(self, samples: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        pool = self.net(self.frontend(samples, lengths)).mean(dim=1)
        return pool, self.net.classifier(pool)


class PictureStem(nn.Module):
    """Pixels -> (pool [B, 1280], logits [B, 1000])."""

    outputs = ("pool", "logits")

    def __init__(self, net: EfficientNetLite):
        super().__init__()
        self.frontend, self.net = lite_pixels(), net

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        pool = self.net(self.frontend(frames)).mean(dim=1)
        return pool, self.net.classifier(pool)


def sound_features(pack: Pack, items: list[Item], net: Mn04, cache: Path) -> Features:
    params = LogMelParams()
    example = {"samples": torch.zeros(2, params.samples), "lengths": torch.tensor([params.samples, 100])}

    def load(item: Item) -> np.ndarray:
        return decode_sound(pack.read(item), params.sample_rate, params.samples / params.sample_rate)

    def feed(batch: list[np.ndarray]) -> dict[str, np.ndarray]:
        lengths = np.array([len(row) for row in batch], np.int64)
        return {"samples": np.stack([pad(row, params.samples) for row in batch]), "lengths": lengths}

    return _cached("sounds", items, load, feed, SoundStem(net), example, cache)


def picture_features(pack: Pack, items: list[Item], net: EfficientNetLite, size: int, cache: Path) -> Features:
    example = {"frames": torch.zeros(2, size, size, 3, dtype=torch.uint8)}

    def load(item: Item) -> np.ndarray:
        return decode_picture(pack.read(item), (size, size), "trim")

    def feed(batch: list[np.ndarray]) -> dict[str, np.ndarray]:
        return {"frames": np.stack(batch)}

    return _cached(f"pictures-{size}-bilinear", items, load, feed, PictureStem(net), example, cache)


def _cached(kind, items: list[Item], load: Callable, feed: Callable, stem: nn.Module, example: dict, cache: Path):
    digest = hashlib.sha256("\n".join(item.key for item in items).encode()).hexdigest()[:16]
    path = cache / f"{kind}-{digest}.npz"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        np.savez(path, **_extract(kind, items, load, feed, stem, example, cache))
    stored, by_key = np.load(path), {item.key: item for item in items}
    kept = [by_key[key] for key in stored["keys"].tolist()]
    return Features(kept, torch.from_numpy(stored["pool"]), torch.from_numpy(stored["logits"]))


def _extract(kind, items, load, feed, stem, example, cache) -> dict[str, np.ndarray]:
    """Through onnxruntime, which runs these nets several times faster than eager torch on a CPU."""
    graph = cache / f"{kind}.onnx"
    export_graph(graph, Graph(stem, stem.outputs), example)
    session = open_graph(graph, threads=torch.get_num_threads())
    keys, results, batch, started = [], [], [], time.monotonic()

    def flush():
        results.append(session.run(list(stem.outputs), feed([loaded for _, loaded in batch])))
        keys.extend(item.key for item, _ in batch)
        batch.clear()

    for item, loaded in skipping(items, load):
        batch.append((item, loaded))
        if len(batch) == 16:
            flush()
    if batch:
        flush()
    print(f"{kind}: {len(keys)} of {len(items)} items in {time.monotonic() - started:.0f} s", flush=True)
    pool, logits = (np.concatenate(parts) for parts in zip(*results, strict=True))
    return {"keys": np.array(keys), "pool": pool, "logits": logits}
