"""Tagging by a bundle's graphs: macro mAP, AUC, d' and top-1, each frame alone and all frames together (SPEC 8)."""

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from ..bundles.bundle import Encoder
from ..data.sources import Sample
from .labelled import Labelled
from .metrics import Metric, average_precision, counts, d_prime, measured, resamples, roc_auc

MODES = ("audio", "visual", "joint")
DRAWS = 300  # bootstrap draws; each is a mean over all classes


class Tagger:
    """Logits of a sample in each mode. Some bundles tag by other graphs than they retrieve by."""

    def __init__(self, encoder: Encoder):
        self.encoder, graphs = encoder, encoder.bundle["graphs"]
        self.graphs = {name: f"{name}_tagging" if f"{name}_tagging" in graphs else name for name in MODES}
        self.modes = [mode for mode in MODES if encoder.offers(self.graphs[mode], "logits")]

    def logits(self, sample: Sample) -> dict[str, np.ndarray]:
        """In every mode that bundle and sample allow: a row for each frame, for audio one.   [F, C]"""
        heard = {} if sample.sound is None else self._say("audio", self.encoder.sound_feeds([sample.sound]))
        seen = {} if sample.frames is None else self._say("visual", self.encoder.frame_feeds(sample.frames))
        said = {mode: found["logits"] for mode, found in (("audio", heard), ("visual", seen)) if "logits" in found}
        if "tower" in heard and "tower" in seen:
            pairs = ({"audio_tower": heard["tower"], "visual_tower": frame[None]} for frame in seen["tower"])
            (said["joint"],) = self.encoder.run("joint", ["logits"], pairs)
        return said

    def _say(self, modality: str, feeds: Iterable[dict]) -> dict[str, np.ndarray]:
        """Logits where the modality's graph gives them, what leaves the tower where there is a joint graph."""
        graph, wanted = self.graphs[modality], [modality in self.modes, "joint" in self.modes]
        outputs = [output for output, asked in zip(("logits", "tower"), wanted, strict=True) if asked]
        return dict(zip(outputs, self.encoder.run(graph, outputs, feeds), strict=True)) if outputs else {}


@dataclass(frozen=True)
class Tagging:
    """What was said and what is true of n samples."""

    name: str  # mode, and which frames
    data: str
    classes: list[str]
    scores: np.ndarray  # [n, C] probabilities
    truth: np.ndarray  # bool [n, C]

    @functools.cached_property
    def present(self) -> np.ndarray:
        """Columns with a positive; the others cannot be measured."""
        return np.flatnonzero(self.truth.any(axis=0))

    @property
    def precision(self) -> dict[str, float]:
        """Average precision of each class with a positive."""
        return {self.classes[c]: float(average_precision(self.scores[:, c], self.truth[:, c])) for c in self.present}

    def metrics(self) -> list[Metric]:
        absent = len(self.classes) - len(self.present)
        data = f"{self.data}, {len(self.present)} classes, {absent} without a positive left out"
        weight = counts(resamples(len(self.truth), draws=DRAWS))
        (precision, precisions), (auc, aucs) = self._macro(average_precision, weight), self._macro(roc_auc, weight)
        return [
            measured(f"mAP {self.name} [%]", 100 * precision, 100 * precisions, data),
            measured(f"AUC {self.name}", auc, aucs, data, digits=4),
            measured(f"d' {self.name}", d_prime(auc), np.array([d_prime(draw) for draw in aucs]), data, digits=3),
            *self._top1(data, weight),
        ]

    def _macro(self, statistic: Callable, weight: np.ndarray) -> tuple[float, np.ndarray]:
        """Mean over the classes, and in each draw over those that it has positives of.

        A draw that repeats a rare positive flatters it, so the draws give the spread and not the place.
        """
        columns = [(self.scores[:, c], self.truth[:, c]) for c in self.present]
        value = np.nanmean([statistic(*column) for column in columns])
        drawn = np.array([statistic(*column, weight) for column in columns])  # [classes, draws]
        means = np.nanmean(drawn[:, ~np.isnan(drawn).all(axis=0)], axis=0)
        return float(value), np.minimum(means - means.mean() + value, 1)

    def _top1(self, data: str, weight: np.ndarray) -> list[Metric]:
        if not is_single(self.truth):
            return []
        own = self.scores[self.truth][:, None]
        right = (self.scores >= own).sum(axis=1) == 1  # a tie counts against
        draws = 100 * (weight * right).sum(axis=1) / len(right)
        return [measured(f"top-1 {self.name} [%]", 100 * right.mean(), draws, data)]


def is_single(truth: np.ndarray) -> bool:
    """Whether every sample has exactly one class."""
    return bool((truth.sum(axis=1) == 1).all())


def tag(encoder: Encoder, labelled: Labelled) -> list[Tagging]:
    """One pass over the samples for all modes; a mode takes the samples that have what it needs."""
    tagger, classes = Tagger(encoder), [label["name"] for label in encoder.labels]
    said: dict[str, list] = {mode: [] for mode in labelled.modes}
    probability = softmax if is_single(labelled.truth) else sigmoid
    for sample in labelled.samples:
        for mode, logits in tagger.logits(sample).items():
            if mode in said:
                said[mode].append((*votes(probability(logits)), sample.labels))
    if not any(said.values()):
        raise ValueError(f"Expected samples for {', '.join(tagger.modes)} in {labelled.data}, got none")
    return [tagging for mode in said if said[mode] for tagging in _taggings(mode, said[mode], labelled.data, classes)]


def votes(probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean over all frames, and the middle frame alone.                              [F, C] -> 2 x [C]"""
    return probability.mean(axis=0), probability[len(probability) // 2]


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits.astype(np.float64)))


def softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


def _taggings(mode: str, said: list[tuple], data: str, classes: list[str]) -> list[Tagging]:
    together, middle, labels = (np.stack(parts) for parts in zip(*said, strict=True))
    data, truth = f"{data}, {len(said)} samples", labels > 0
    if np.array_equal(together, middle):
        return [Tagging(mode, data, classes, together, truth)]
    return [
        Tagging(f"{mode}, all frames", data, classes, together, truth),
        Tagging(f"{mode}, middle frame", data, classes, middle, truth),
    ]
