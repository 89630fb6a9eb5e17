"""Learning-rate schedule."""

import math


def warm_cosine(step: int, warmup: int, steps: int) -> float:
    """Factor on the learning rate: linear warm-up, then half a cosine to 0."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
