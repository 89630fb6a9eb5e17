"""Retrieval both ways: clips and pairs by rank, a pack's `val` split by concept."""

import functools
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..bundles.bundle import Encoder
from ..data.clips import VIDEOS
from ..data.pack import Item, Pack, by_concept, skipping
from .metrics import Metric, average_precision, bootstrapped, recall, reciprocal, strict_ranks

WAYS = ("sound→picture", "picture→sound")
RECALLS = (1, 5, 10)


@dataclass(frozen=True)
class Retrieval:
    """Sound i and picture i belong together."""

    data: str
    keys: list[str]
    similarity: np.ndarray  # [n sounds, n pictures]

    @functools.cached_property
    def ranks(self) -> dict[str, np.ndarray]:
        """Of each query's own partner, by way."""
        return dict(zip(WAYS, (strict_ranks(self.similarity), strict_ranks(self.similarity.T)), strict=True))

    def metrics(self) -> list[Metric]:
        made = []
        for way, ranks in self.ranks.items():
            for k in RECALLS:
                made.append(bootstrapped(f"R@{k} {way} [%]", ranks, lambda r, k=k: 100 * recall(r, k), self.data))
            made.append(bootstrapped(f"median rank {way}", ranks, lambda r: np.median(r, axis=-1), self.data))
            made.append(bootstrapped(f"MRR {way} [%]", ranks, lambda r: 100 * reciprocal(r), self.data))
        return made


@dataclass(frozen=True)
class ConceptRetrieval:
    """A hit is anything of the query's concept."""

    data: str
    similarity: np.ndarray  # [n sounds, m pictures]
    heard: np.ndarray  # concept of each sound
    seen: np.ndarray  # concept of each picture

    @functools.cached_property
    def precision(self) -> dict[str, dict[str, float]]:
        """Mean average precision of each concept's queries, by way."""
        hits = self.heard[:, None] == self.seen[None]
        there = _of_concepts(self.similarity, hits, self.heard)
        return dict(zip(WAYS, (there, _of_concepts(self.similarity.T, hits.T, self.seen)), strict=True))

    def metrics(self) -> list[Metric]:
        return [
            bootstrapped(f"concept mAP {way} [%]", np.array([*found.values()]), lambda p: 100 * p.mean(-1), self.data)
            for way, found in self.precision.items()
        ]


def clips(encoder: Encoder, folder: Path) -> Retrieval:
    """Videos: each with sound is its own ground truth, by its first segment."""
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in VIDEOS)
    loaded = skipping(files, lambda path: (encoder.sound(path), encoder.frames(path)))
    encoded = [(path.stem, encoder.hear([sound])[0], encoder.watch(frames)) for path, (sound, frames) in loaded]
    return _retrieval(encoded, f"{folder.name}, {_of(len(encoded), len(files))} clips")


def pairs(encoder: Encoder, folder: Path) -> Retrieval:
    """A sound and a picture of the same name."""
    names = sorted({p.stem for p in folder.glob("*.opus")} & {p.stem for p in folder.glob("*.webp")})

    def load(name: str) -> tuple[np.ndarray, np.ndarray]:
        return encoder.sound(folder / f"{name}.opus"), encoder.picture(folder / f"{name}.webp")

    loaded = skipping(names, load)
    encoded = [(name, encoder.hear([sound])[0], encoder.see([picture])[0]) for name, (sound, picture) in loaded]
    return _retrieval(encoded, f"{folder.name}, {_of(len(encoded), len(names))} pairs")


def concepts(encoder: Encoder, pack: Pack, most: int = 15) -> ConceptRetrieval:
    """Concepts of the `val` split with two sounds and two pictures or more, `most` of each at most."""
    sounds, pictures = _thinned(pack.sounds, most), _thinned(pack.pictures, most)
    names = sorted(sounds.keys() & pictures.keys())
    if not names:
        raise ValueError(f"Expected concepts with two sounds and two pictures in val of {pack.root}, got none")
    heard_items = skipping([i for n in names for i in sounds[n]], lambda item: encoder.sound(pack.read(item)))
    heard = [(item.concept, encoder.hear([sound])[0]) for item, sound in heard_items]
    seen_items = skipping([i for n in names for i in pictures[n]], lambda item: encoder.picture(pack.read(item)))
    seen = [(item.concept, encoder.see([picture])[0]) for item, picture in seen_items]
    (heard_concept, e_a), (seen_concept, e_v) = zip(*heard, strict=True), zip(*seen, strict=True)
    data = f"val split, {len(names)} concepts, at most {most} of each"
    return ConceptRetrieval(data, np.stack(e_a) @ np.stack(e_v).T, np.array(heard_concept), np.array(seen_concept))


def _retrieval(encoded: list[tuple[str, np.ndarray, np.ndarray]], data: str) -> Retrieval:
    if not encoded:
        raise ValueError(f"Expected something with sound and picture that can be read, got {data}")
    keys, heard, seen = zip(*encoded, strict=True)
    return Retrieval(data, list(keys), np.stack(heard) @ np.stack(seen).T)


def _of(read: int, found: int) -> str:
    return str(read) if read == found else f"{read} of {found}"


def _of_concepts(similarity: np.ndarray, hits: np.ndarray, concept: np.ndarray) -> dict[str, float]:
    precision = np.array([average_precision(scores, hit) for scores, hit in zip(similarity, hits, strict=True)])
    return {str(name): float(precision[concept == name].mean()) for name in np.unique(concept[hits.any(axis=1)])}


def _thinned(items: list[Item], most: int) -> dict[str, list[Item]]:
    groups = by_concept([item for item in items if item.split == "val"])
    return {
        name: random.Random(0).sample(group, min(most, len(group))) for name, group in groups.items() if len(group) >= 2
    }
