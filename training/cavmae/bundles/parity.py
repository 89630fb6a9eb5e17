"""An exported graph against torch, and a graph against itself: alone or in a batch, with or without noise behind."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .answers import split_rows
from .graph import Graph, open_graph

PARITY_ATOL = 2e-4  # of torch against onnxruntime, on unit embeddings
ROW_COSINE = 0.999  # of smaller numbers: int8 activations share one scale for the whole batch (SPEC 13)

Compare = Callable[[str, np.ndarray, np.ndarray], None]  # what is compared, actual, expected; raises


def check_graph(path: Path, graph: Graph, inputs: dict[str, Tensor]) -> None:
    with torch.inference_mode():
        results = graph.module(*inputs.values())
    results = (results,) if isinstance(results, Tensor) else results
    feeds = {name: value.numpy() for name, value in inputs.items()}
    actual = open_graph(path).run(list(graph.outputs), feeds)
    for output, value, expected in zip(graph.outputs, actual, results, strict=True):
        close(f"{path.name}: {output}, torch against onnxruntime", value, expected.numpy())
    check_contract(path, feeds, close)


def check_contract(path: Path, feeds: dict[str, np.ndarray], compare: Compare) -> None:
    """Rows do not depend on their batch, tokens average to the embedding, nothing behind `lengths` is heard."""
    session = open_graph(path)
    outputs = [output.name for output in session.get_outputs()]
    together = dict(zip(outputs, session.run(outputs, feeds), strict=True))
    for row, feed in enumerate(split_rows(feeds)):
        for output, value in zip(outputs, session.run(outputs, feed), strict=True):
            compare(f"{path.name}: {output}, row {row} alone against in a batch", value[0], together[output][row])
    if "tokens" in together:
        mean = together["tokens"].mean(axis=1)
        unit = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        compare(f"{path.name}: mean of tokens against embedding", unit, together["embedding"])
    if "samples" in feeds:
        for output, value in zip(outputs, session.run(outputs, _noise_behind(feeds)), strict=True):
            compare(f"{path.name}: {output}, NaN behind lengths", value, together[output])


def _noise_behind(feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    samples = feeds["samples"].copy()
    for row, length in zip(samples, feeds["lengths"], strict=True):
        row[length:] = np.nan
    return {**feeds, "samples": samples}


def close(what: str, actual: np.ndarray, expected: np.ndarray) -> None:
    limit = PARITY_ATOL * max(1.0, float(np.abs(expected).max()))
    worst = float(np.abs(actual - expected).max())
    if not worst <= limit:
        raise AssertionError(f"{what}: expected at most {limit:.1e} apart, got {worst:.1e}; no bundle was written")


def alike(what: str, actual: np.ndarray, expected: np.ndarray) -> None:
    worst = float(cosine(actual.reshape(1, -1), expected.reshape(1, -1))[0])
    if not worst >= ROW_COSINE:
        raise AssertionError(f"{what}: expected a cosine of {ROW_COSINE}, got {worst:.4f}; no bundle was written")


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of each row of one with its row of the other.                                      [n]"""
    return (a * b).sum(axis=-1) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))
