"""Retrieval both ways by the exported graphs, so that what is measured is what is served."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from .data import Item, Pack, by_concept, skipping
from .media import decode_frames, decode_picture, decode_sound

VIDEO = {".mp4", ".mkv", ".webm", ".mov"}
BATCH = 8


class Encoder:
    """A bundle's two graphs in onnxruntime."""

    def __init__(self, folder: Path, threads: int = 2):
        self.bundle = json.loads((folder / "bundle.json").read_text())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.audio, self.visual = (
            onnxruntime.InferenceSession(
                folder / self.bundle["graphs"][name]["file"], options, ["CPUExecutionProvider"]
            )
            for name in ("audio", "visual")
        )

    @property
    def seconds(self) -> float:
        return self.bundle["audio"]["samples"] / self.bundle["audio"]["sampleRateHz"]

    def sound(self, source: bytes | Path) -> np.ndarray:
        audio = self.bundle["audio"]
        return decode_sound(source, audio["sampleRateHz"], self.seconds, audio["channels"])

    def picture(self, source: bytes | Path) -> np.ndarray:
        visual = self.bundle["visual"]
        return decode_picture(source, (visual["height"], visual["width"]), visual["resize"])

    def frames(self, path: Path) -> np.ndarray:
        visual = self.bundle["visual"]
        size = (visual["height"], visual["width"])
        return decode_frames(path, visual["framesPerSegment"], self.seconds, size, visual["resize"])

    def hear(self, sounds: list[np.ndarray]) -> np.ndarray:
        """Unit embeddings.                                                               [n, D]"""
        rows = np.zeros((len(sounds), self.bundle["audio"]["samples"]), np.float32)
        for row, sound in zip(rows, sounds, strict=True):
            row[: len(sound)] = sound
        lengths = np.array([len(sound) for sound in sounds], np.int64)
        return np.concatenate(
            [
                self.audio.run(["embedding"], {"samples": rows[i : i + BATCH], "lengths": lengths[i : i + BATCH]})[0]
                for i in range(0, len(rows), BATCH)
            ]
        )

    def see(self, frames: np.ndarray) -> np.ndarray:
        """Unit embeddings of single frames.                                              [n, D]"""
        steps = range(0, len(frames), BATCH)
        return np.concatenate([self.visual.run(["embedding"], {"frames": frames[i : i + BATCH]})[0] for i in steps])

    def watch(self, frames: np.ndarray) -> np.ndarray:
        """The mean of the frames' embeddings, unit length.                               [D]"""
        mean = self.see(frames).mean(axis=0)
        return mean / np.linalg.norm(mean)


@dataclass(frozen=True)
class Metric:
    name: str
    value: float
    interval: tuple[float, float] | None  # 95 %, bootstrap over items
    data: str
    note: str = "measured"

    def json(self) -> dict:
        return {"name": self.name, "value": self.value, "interval": self.interval, "data": self.data, "note": self.note}


def strict_ranks(similarity: np.ndarray) -> np.ndarray:
    """Place of each row's own column, 1 = best; equal scores count against.              [n]"""
    own = np.diagonal(similarity)[:, None]
    return (similarity >= own).sum(axis=1)  # the own score counts once


def retrieval_metrics(heard: np.ndarray, seen: np.ndarray, data: str, seed: int = 0) -> list[Metric]:
    """R@1/5/10 in %, median rank, both ways: row i of `heard` belongs to row i of `seen`."""
    similarity = heard @ seen.T
    metrics = []
    for way, ranks in (("sound→picture", strict_ranks(similarity)), ("picture→sound", strict_ranks(similarity.T))):
        for k in (1, 5, 10):
            metrics.append(_measured(f"R@{k} {way} [%]", ranks, lambda r, k=k: 100 * (r <= k).mean(), data, seed))
        metrics.append(_measured(f"median rank {way}", ranks, np.median, data, seed))
    return metrics


def _measured(name: str, values: np.ndarray, statistic: Callable, data: str, seed: int, draws: int = 2000) -> Metric:
    source = np.random.default_rng(seed)
    sampled = [statistic(values[source.integers(len(values), size=len(values))]) for _ in range(draws)]
    low, high = np.percentile(sampled, (2.5, 97.5))
    return Metric(name, round(float(statistic(values)), 1), (round(float(low), 1), round(float(high), 1)), data)


def clips(encoder: Encoder, folder: Path) -> list[Metric]:
    """Each clip with sound is its own ground truth."""
    files = sorted(p for p in folder.iterdir() if p.suffix in VIDEO)
    loaded = list(skipping(files, lambda path: (encoder.sound(path), encoder.frames(path))))
    heard = encoder.hear([sound for _, (sound, _) in loaded])
    seen = np.stack([encoder.watch(frames) for _, (_, frames) in loaded])
    return retrieval_metrics(heard, seen, f"{folder.name}, {len(loaded)} clips")


def pairs(encoder: Encoder, folder: Path) -> list[Metric]:
    """A sound and a picture of the same name."""
    names = sorted({p.stem for p in folder.glob("*.opus")} & {p.stem for p in folder.glob("*.webp")})
    sound = [encoder.sound(folder / f"{name}.opus") for name in names]
    picture = np.stack([encoder.picture(folder / f"{name}.webp") for name in names])
    return retrieval_metrics(encoder.hear(sound), encoder.see(picture), f"{folder.name}, {len(names)} pairs")


def concepts(encoder: Encoder, pack: Pack, most: int = 15) -> list[Metric]:
    """Macro mean average precision over the concepts of the `val` split with two sounds and two pictures or more."""
    sounds = _thinned(pack.sounds, most)
    pictures = _thinned(pack.pictures, most)
    names = sorted(sounds.keys() & pictures.keys())
    heard_items = list(skipping([i for n in names for i in sounds[n]], lambda item: encoder.sound(pack.read(item))))
    seen_items = list(skipping([i for n in names for i in pictures[n]], lambda item: encoder.picture(pack.read(item))))
    heard = encoder.hear([sound for _, sound in heard_items])
    seen = encoder.see(np.stack([picture for _, picture in seen_items]))
    heard_concept = np.array([item.concept for item, _ in heard_items])
    seen_concept = np.array([item.concept for item, _ in seen_items])
    return concept_metrics(heard @ seen.T, heard_concept, seen_concept)


def concept_metrics(similarity: np.ndarray, heard_concept: np.ndarray, seen_concept: np.ndarray) -> list[Metric]:
    hits = heard_concept[:, None] == seen_concept[None]
    metrics = []
    ways = (("sound→picture", similarity, hits, heard_concept), ("picture→sound", similarity.T, hits.T, seen_concept))
    for way, scores, hit, concept in ways:
        precision = np.array([average_precision(s, h) for s, h in zip(scores, hit, strict=True)])
        of_concept = np.array([precision[concept == name].mean() for name in np.unique(concept)])
        data = f"val split, {len(of_concept)} concepts, at most 15 of each"
        metrics.append(_measured(f"concept mAP {way} [%]", 100 * of_concept, np.mean, data, 0))
    return metrics


def _thinned(items: list[Item], most: int) -> dict[str, list[Item]]:
    groups = by_concept([item for item in items if item.split == "val"])
    return {
        name: random.Random(0).sample(group, min(most, len(group))) for name, group in groups.items() if len(group) >= 2
    }


def average_precision(scores: np.ndarray, hit: np.ndarray) -> float:
    ranked = hit[np.argsort(-scores, kind="stable")]
    return float((np.cumsum(ranked)[ranked] / (np.flatnonzero(ranked) + 1)).mean())


def table(metrics: list[Metric]) -> str:
    """Markdown rows."""
    lines = ["| measure | value | 95 % interval | data |", "|---|---|---|---|"]
    for m in metrics:
        interval = f"{m.interval[0]} to {m.interval[1]}" if m.interval else m.note
        lines.append(f"| {m.name} | {m.value} | {interval} | {m.data} |")
    return "\n".join(lines)
