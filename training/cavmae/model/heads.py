"""Heads of the starter: a bridge of class names, plus a small learned residual, from pooled features.

The head is not linear, so a token's share is first order: tokens = head(mean) + J(mean) (x_i - mean). Their mean is
the un-normalised embedding exactly. J is applied by carrying a tangent beside each value (forward mode). What the x_i
differ in is taken within the pool's principal directions: J then costs a fraction, and the mean stays exact.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CLIP = 1e-5  # of class scores, before root and logit


@dataclass(frozen=True)
class Dual:
    """A value [B, 1, C] and the change of it that each of N changes of the input makes [B, N, C]."""

    value: Tensor
    tangent: Tensor

    def linear(self, layer: nn.Linear) -> "Dual":
        return self.matmul(layer.weight.T).shift(layer.bias)

    def matmul(self, matrix: Tensor) -> "Dual":
        rows = torch.cat([self.value, self.tangent], dim=1) @ matrix  # at once: the matrix is read once
        return Dual(rows[:, :1], rows[:, 1:])

    def shift(self, by: Tensor) -> "Dual":
        return Dual(self.value + by, self.tangent)

    def scale(self, by: Tensor) -> "Dual":
        return Dual(self.value * by, self.tangent * by)

    def plus(self, other: "Dual") -> "Dual":
        return Dual(self.value + other.value, self.tangent + other.tangent)

    def normalize(self) -> "Dual":
        length = self.value.norm(dim=-1, keepdim=True)
        unit = self.value / length
        along = (unit * self.tangent).sum(dim=-1, keepdim=True)
        return Dual(unit, (self.tangent - unit * along) / length)

    def hardswish(self) -> "Dual":
        x = self.value
        slope = torch.where(x > 3, 1.0, torch.where(x < -3, 0.0, x / 3 + 0.5))
        return Dual(F.hardswish(x), slope * self.tangent)

    def gelu(self) -> "Dual":
        x = self.value
        below = 0.5 * (1 + torch.erf(x * 0.5**0.5))
        density = torch.exp(-0.5 * x * x) * (0.5 / torch.pi) ** 0.5
        return Dual(x * below, (below + x * density) * self.tangent)

    def sigmoid(self) -> "Dual":
        s = self.value.sigmoid()
        return Dual(s, s * (1 - s) * self.tangent)

    def softmax(self) -> "Dual":
        s = self.value.softmax(dim=-1)
        return Dual(s, s * (self.tangent - (s * self.tangent).sum(dim=-1, keepdim=True)))

    def clipped_power(self, exponent: float) -> "Dual":
        clipped = self.value.clamp_min(CLIP)
        unclipped = (self.value / CLIP - 1).clamp(0, 1)  # no jump, of which rounding would decide the side
        return Dual(clipped**exponent, unclipped * exponent * clipped ** (exponent - 1) * self.tangent)


@dataclass(frozen=True)
class Pool:
    """The mean token [B, 1, C], and what each token differs in: coordinates [B, N, K] along axes [K, C]."""

    value: Tensor
    coordinates: Tensor
    axes: Tensor

    def standardize(self, mean: Tensor, scale: Tensor) -> "Pool":
        return Pool((self.value - mean) * scale, self.coordinates, self.axes * scale)

    def linear(self, layer: nn.Linear) -> Dual:
        return Dual(layer(self.value), self.coordinates @ (self.axes @ layer.weight.T))


def principal_axes(pool: Tensor, count: int) -> Tensor:
    """Directions in which pooled features vary most.                                     [n, C] -> [count, C]"""
    centred = (pool - pool.mean(0)).double()
    return torch.linalg.eigh(centred.T @ centred).eigenvectors[:, -count:].T.float()


class Bridge(nn.Module):
    """Scores of 527 classes -> a direction in 256.

    A power of the scores, minus its mean, each class weighed by how little it varies, unit length, fixed PCA, unit
    length.
    """

    def __init__(self, power: float, mean: Tensor, weight: Tensor, basis: Tensor):
        super().__init__()
        self.power = power
        self.register_buffer("mean", mean)  # [527]
        self.register_buffer("weight", weight)  # [527]
        self.register_buffer("basis", basis)  # [527, D]

    def forward(self, scores: Dual) -> Dual:
        centred = scores.clipped_power(self.power).shift(-self.mean)
        return centred.scale(self.weight).normalize().matmul(self.basis).normalize()

    def project(self, scores: Tensor) -> Tensor:
        """The same without tangents.                                                     [n, 527] -> [n, D]"""
        centred = (scores.clamp_min(CLIP) ** self.power - self.mean) * self.weight
        return F.normalize(F.normalize(centred, dim=-1) @ self.basis, dim=-1)


class Residual(nn.Module):
    """Standardised pool -> hidden -> a small step beside the bridge's direction."""

    def __init__(self, mean: Tensor, std: Tensor, hidden: int, dim: int, dropout: float = 0.0):
        super().__init__()
        self.register_buffer("mean", mean)  # [C]
        self.register_buffer("scale", 1.0 / std)
        self.fc1, self.fc2, self.dropout = nn.Linear(len(mean), hidden), nn.Linear(hidden, dim), nn.Dropout(dropout)
        nn.init.normal_(self.fc2.weight, std=1e-3)
        nn.init.zeros_(self.fc2.bias)

    def zero_(self) -> "Residual":
        """In place: no step at all."""
        nn.init.zeros_(self.fc2.weight)
        return self

    def forward(self, pool: Pool) -> Dual:
        return pool.standardize(self.mean, self.scale).linear(self.fc1).gelu().linear(self.fc2)

    def plain(self, pool: Tensor) -> Tensor:
        """The same without tangents; with dropout in training.                           [B, D]"""
        x = self.dropout((pool - self.mean) * self.scale)
        return self.fc2(self.dropout(F.gelu(self.fc1(x))))


def merge(residuals: list[Residual], share: float = 1.0) -> Residual:
    """`share` of the mean of several residuals as one wider one."""
    first, count = residuals[0], len(residuals)
    hidden, dim = sum(r.fc1.out_features for r in residuals), first.fc2.out_features
    merged = Residual(first.mean, 1.0 / first.scale, hidden, dim)
    with torch.no_grad():
        merged.fc1.weight.copy_(torch.cat([r.fc1.weight for r in residuals]))
        merged.fc1.bias.copy_(torch.cat([r.fc1.bias for r in residuals]))
        merged.fc2.weight.copy_(torch.cat([r.fc2.weight for r in residuals], dim=1) * (share / count))
        merged.fc2.bias.copy_(share * torch.stack([r.fc2.bias for r in residuals]).mean(dim=0))
    return merged


class Reach(nn.Module):
    """How far what was learnt from some pools holds for another: 1 in their midst, 0 far from all of them.

    A step down at `limit`, of the mean square of the pool's coordinates in units of their deviation.
    """

    def __init__(self, mean: Tensor, axes: Tensor, limit: float, width: float = 0.3):
        super().__init__()
        self.register_buffer("mean", mean)  # [C]
        self.register_buffer("axes", axes)  # [K, C], a deviation of the pools each
        self.limit, self.width = limit, width

    @classmethod
    def of(cls, pool: Tensor, count: int, quantile: float) -> "Reach":
        """Within it lies `quantile` of the pools [n, C], by their `count` principal axes."""
        mean, axes = pool.mean(0), principal_axes(pool, count)
        axes = axes / ((pool - mean) @ axes.T).std(0)[:, None]
        reach = cls(mean, axes, 0.0)
        reach.limit = torch.quantile(reach.distance(pool), quantile).item()
        return reach

    def distance(self, pool: Tensor) -> Tensor:
        return ((pool - self.mean) @ self.axes.T).square().mean(dim=-1, keepdim=True)

    def forward(self, pool: Tensor) -> Tensor:  # [..., C] -> [..., 1]
        return torch.sigmoid((self.limit - self.distance(pool)) / self.width)


class Head(nn.Module):
    """Tokens of a stem -> embedding, tokens, class logits, pool; `scores` is what the two modalities differ in.

    Within a segment the residual's reach is taken as it is for the whole.
    """

    def __init__(
        self,
        classifier: nn.Module,
        bridge: Bridge,
        residual: Residual | None,
        axes: Tensor,
        reach: Reach | None = None,
    ):
        super().__init__()
        self.classifier, self.bridge, self.residual, self.reach = classifier, bridge, residual, reach
        self.register_buffer("axes", axes)  # [K, C]

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # [B, N, C]
        mean = tokens.mean(dim=1, keepdim=True)
        pool = Pool(mean, (tokens - mean) @ self.axes.T, self.axes)
        scores, logits = self.scores(pool)
        out = self.bridge(scores)
        if self.residual is not None:
            step = self.residual(pool)
            out = out.plus(step if self.reach is None else step.scale(self.reach(mean)))
        embedding = F.normalize(out.value[:, 0], dim=-1)  # [B, D]
        return embedding, out.value + out.tangent, logits[:, 0], mean[:, 0]  # [B, N, D], [B, 527], [B, C]

    def scores(self, pool: Pool) -> tuple[Dual, Tensor]:
        raise NotImplementedError


class AudioHead(Head):
    """Class scores: the tagger's own posteriors."""

    def scores(self, pool: Pool) -> tuple[Dual, Tensor]:
        logits = pool.linear(self.classifier[0]).hardswish().linear(self.classifier[2])
        return logits.sigmoid(), logits.value


class VisualHead(Head):
    """Class scores: ImageNet posteriors through the map of names; logits are the logit of the clipped scores."""

    def __init__(self, classifier: nn.Linear, bridge: Bridge, residual: Residual | None, axes: Tensor, table: Tensor):
        super().__init__(classifier, bridge, residual, axes)
        self.register_buffer("table", table)  # [1000, 527]

    def scores(self, pool: Pool) -> tuple[Dual, Tensor]:
        scores = pool.linear(self.classifier).softmax().matmul(self.table)
        return scores, torch.logit(scores.value.clamp(CLIP, 1 - CLIP))
