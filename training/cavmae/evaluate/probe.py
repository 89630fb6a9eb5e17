"""Linear probe on ESC-50: logistic regression on one output of the audio graph, by the set's own folds."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..bundles.bundle import Encoder
from ..data.pack import Pack, skipping
from .metrics import Metric, bootstrapped

FOLDS = (1, 2, 3, 4, 5)
PENALTIES = tuple(10.0**power for power in range(0, -6, -1))  # of the squared weights, the strongest first


@dataclass(frozen=True)
class Features:
    """One output of the graph for each clip of ESC-50."""

    x: Tensor  # [n, D]
    y: Tensor  # [n] class numbers
    fold: Tensor  # [n] 1..5
    classes: list[str]


@dataclass(frozen=True)
class Probe:
    """What was said of the clips of the tested folds."""

    data: str
    classes: list[str]
    truth: np.ndarray  # [n] class numbers
    said: np.ndarray  # [n] class numbers

    def metrics(self) -> list[Metric]:
        right = 100.0 * (self.said == self.truth)
        return [bootstrapped("ESC-50 linear probe [%]", right, lambda r: r.mean(axis=-1), self.data)]


def probe(encoder: Encoder, pack: Pack, folds: Sequence[int], output: str) -> Probe:
    """Each of `folds` is tested by a probe that the other four trained."""
    features = esc50(encoder, pack, output)
    truth, said, notes = [], [], []
    for fold in folds:
        rest, tested = features.fold != fold, features.fold == fold
        penalty = best_penalty(features.x[rest], features.y[rest], features.fold[rest])
        said.append(predict(features.x[rest], features.y[rest], features.x[tested], penalty))
        truth.append(features.y[tested])
        notes.append(f"{fold} (penalty {penalty:g})")
    clips = sum(len(part) for part in truth)
    data = f"pack {pack.root.name}, ESC-50 fold {', '.join(notes)}, {clips} clips, output {output}"
    return Probe(data, features.classes, torch.cat(truth).numpy(), torch.cat(said).numpy())


def esc50(encoder: Encoder, pack: Pack, output: str) -> Features:
    rows = [json.loads(line) for line in (pack.root / "sounds.jsonl").read_text().splitlines()]
    about = {row["key"]: (row["esc_fold"], row["original_label"]) for row in rows if row.get("esc_fold")}
    clips = [item for item in pack.sounds if item.key in about]
    if {about[item.key][0] for item in clips} != set(FOLDS):
        raise ValueError(f"Expected ESC-50 with its five folds in {pack.root}, got {len(clips)} clips of it")
    loaded = skipping(clips, lambda item: encoder.sound(pack.read(item)))
    encoded = [(about[item.key], encoder.hear([sound], output)[0]) for item, sound in loaded]
    (places, vectors) = zip(*encoded, strict=True)
    classes = sorted({label for _, label in places})
    return Features(
        torch.from_numpy(np.stack([v.reshape(-1, v.shape[-1]).mean(axis=0) for v in vectors])),  # tokens are averaged
        torch.tensor([classes.index(label) for _, label in places]),
        torch.tensor([fold for fold, _ in places]),
        classes,
    )


def best_penalty(x: Tensor, y: Tensor, fold: Tensor) -> float:
    """The one that tells each of these folds best by the others; of equals the strongest."""
    right = torch.zeros(len(PENALTIES))
    for held in fold.unique():
        rest, tested = fold != held, fold == held
        for i, penalty in enumerate(PENALTIES):
            right[i] += (predict(x[rest], y[rest], x[tested], penalty) == y[tested]).sum()
    return PENALTIES[int(right.argmax())]


def predict(x: Tensor, y: Tensor, tested: Tensor, penalty: float) -> Tensor:
    """Class numbers of the tested rows, both sides standardised by the training rows."""
    mean, spread = x.mean(0), x.std(0).clamp_min(1e-6)
    weight, bias = logistic_regression((x - mean) / spread, y, penalty)
    return ((tested - mean) / spread @ weight + bias).argmax(1)


def logistic_regression(x: Tensor, y: Tensor, penalty: float) -> tuple[Tensor, Tensor]:
    """Minimises mean cross-entropy + penalty / 2 * |W|^2.                                [D, C], [C]"""
    classes = int(y.max()) + 1
    weight, bias = (x.new_zeros(shape, requires_grad=True) for shape in ((x.shape[1], classes), (classes,)))
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=300, tolerance_grad=1e-5, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(x @ weight + bias, y) + penalty / 2 * weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return weight.detach(), bias.detach()
