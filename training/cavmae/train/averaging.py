"""Averages of the weights along a run: what is evaluated and exported in place of the last step's."""

import torch
from torch import Tensor, nn


class WeightAverage:
    """`ema`: exponential, quick at first; `mean`: the plain mean of all updates, as the paper averages its epochs."""

    def __init__(self, kind: str, decay: float):
        self.kind, self.decay, self.count = kind, decay, 0
        self.weights: dict[str, Tensor] = {}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        trained = {name: value for name, value in model.named_parameters() if value.requires_grad}
        self.count += 1
        for name, value in trained.items():
            self.weights.setdefault(name, value.clone()).lerp_(value, self.share)

    @property
    def share(self) -> float:
        """Of the newest weights in the average."""
        if self.kind == "mean":
            return 1 / self.count
        return 1 - min(self.decay, self.count / (9 + self.count))

    def state_dict(self) -> dict:
        return {"weights": self.weights, "count": self.count}

    def load_state_dict(self, state: dict, device: torch.device) -> None:
        self.count = state["count"]
        self.weights = {name: value.to(device) for name, value in state["weights"].items()}
