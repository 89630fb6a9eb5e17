"""Labelled samples of a pack or of shards, their labels in the columns of a bundle's logits."""

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from ..bundles.bundle import Encoder
from ..data.audioset import audioset_labels
from ..data.pack import Item, Pack, by_concept, label_vector, skipping
from ..data.shards import Shards
from ..data.sources import Sample, refuse_other_shape

T = TypeVar("T")


@dataclass(frozen=True)
class Labelled:
    """Samples to be tagged as they are read, once."""

    data: str
    modes: tuple[str, ...]  # that the samples are meant for
    truth: np.ndarray  # bool [n, C], of those too that will turn out to be bad
    samples: Iterable[Sample]


def shard_samples(encoder: Encoder, folder: Path, split: str | None, val_share: float) -> Labelled:
    """All the frames that are stored, in their order."""
    shards = Shards(folder)
    refuse_other_shape(shards.spec.shape, replace(encoder.shape, frames=1))
    columns = columns_of(shards.spec.classes or [], encoder.labels)
    numbers = np.flatnonzero(shards.split(split, val_share)).tolist()
    if not numbers:
        raise ValueError(f"Expected samples of the split {split or 'all'} in {folder}, got none: say another --split")
    known = _known({number: shards.label_vector(number) for number in numbers}, columns)

    def load(number: int) -> Sample:
        stored = shards.read(number)
        frames = np.stack([encoder.picture(frame) for frame in stored.frames]) if stored.frames else None
        return Sample(stored.sound and encoder.sound(stored.sound), frames, known[number])

    return _labelled(f"{folder.name}, {split or 'all'}", ("audio", "visual", "joint"), known, load)


def pack_sounds(encoder: Encoder, pack: Pack, joint: bool) -> Labelled:
    """Each sound, where `joint` is asked for with a picture of its concept: they were never recorded together."""
    known = _known_items(pack.sounds, encoder)
    pictures = by_concept([item for item in pack.pictures if item.split == "val"]) if joint else {}

    def load(item: Item) -> Sample:
        partners = pictures.get(item.concept)
        picture = random.Random(item.key).choice(partners) if partners else None
        frames = None if picture is None else encoder.picture(pack.read(picture))[None]
        return Sample(encoder.sound(pack.read(item)), frames, known[item])

    modes = ("audio", "joint") if joint else ("audio",)
    return _labelled(f"pack {pack.root.name}, val sounds", modes, known, load)


def pack_pictures(encoder: Encoder, pack: Pack) -> Labelled:
    known = _known_items(pack.pictures, encoder)

    def load(item: Item) -> Sample:
        return Sample(None, encoder.picture(pack.read(item))[None], known[item])

    return _labelled(f"pack {pack.root.name}, val pictures", ("visual",), known, load)


def columns_of(theirs: list[dict], ours: list[dict]) -> np.ndarray:
    """Which column of theirs each of our classes is, by mid or else by name; -1 where they do not know it.    [C]"""
    by_mid = {label["mid"]: label["index"] for label in theirs if label.get("mid")}
    by_name = {label["name"]: label["index"] for label in theirs}
    return np.array([by_mid.get(label.get("mid"), by_name.get(label["name"], -1)) for label in ours])


def _known_items(items: list[Item], encoder: Encoder) -> dict[Item, np.ndarray]:
    vectors = {item: label_vector(item) for item in items if item.split == "val"}
    return _known(vectors, columns_of(audioset_labels(), encoder.labels))


def _known(vectors: dict[T, np.ndarray], columns: np.ndarray) -> dict[T, np.ndarray]:
    """The samples that have one of our labels: what is not labelled is unknown, not absent."""
    if not (columns >= 0).any():
        raise ValueError("Expected samples labelled with classes of the bundle, got none: were they labelled at all?")
    ours = {key: np.where(columns >= 0, vector[columns], 0) for key, vector in vectors.items()}
    return {key: vector for key, vector in ours.items() if vector.any()}


def _labelled(data: str, modes: tuple[str, ...], known: dict[T, np.ndarray], load: Callable[[T], Sample]) -> Labelled:
    def samples() -> Iterator[Sample]:
        for _, sample in skipping(known, load):
            yield sample

    return Labelled(data, modes, np.array([*known.values()]) > 0, samples())
