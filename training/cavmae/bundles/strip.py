"""A bundle without the notes that exporters leave in its graphs: the same embeddings under a new fingerprint."""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnxruntime

from .export import fingerprint, write_json
from .metadata import strip_file

_BATCH = 3  # rows that a graph is asked with before and after


def strip_bundle(folder: Path) -> list[str]:
    """
    Strips the graphs of a bundle and gives it its new fingerprint. The old one is listed under `equals`, so that
    libraries of it still open: that is done only if each graph answers bit for bit as before. ValueError where one
    does not. Returns the names of the graphs that had notes.
    """
    bundle = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
    stripped = []
    for name, graph in bundle["graphs"].items():
        path = folder / graph["file"]
        before = path.read_bytes()
        if not strip_file(path):
            continue
        if not _same_answers(before, path.read_bytes()):
            path.write_bytes(before)
            raise ValueError(f"Expected {name} to answer as before, got other numbers: it stays as it was")
        graph["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
        stripped.append(name)
    if stripped:
        earlier = bundle["fingerprint"]
        bundle["fingerprint"] = fingerprint(bundle)
        bundle["equals"] = [*bundle.get("equals", []), earlier]
        write_json(folder / "bundle.json", bundle)
    return stripped


def _same_answers(before: bytes, after: bytes) -> bool:
    one, other = (onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]) for model in (before, after))
    feed = _example(one)
    answers = zip(one.run(None, feed), other.run(None, feed), strict=True)
    return all(np.array_equal(a, b, equal_nan=True) for a, b in answers)


def _example(session: onnxruntime.InferenceSession) -> dict[str, np.ndarray]:
    """Random inputs of the shapes that a graph takes; lengths are those of whole inputs."""
    random = np.random.default_rng(0)
    feed = {}
    for value in session.get_inputs():
        shape = [_BATCH, *value.shape[1:]]
        if value.type == "tensor(uint8)":
            feed[value.name] = random.integers(0, 256, shape, np.uint8)
        elif value.type == "tensor(float)":
            feed[value.name] = random.uniform(-1, 1, shape).astype(np.float32)
    samples = feed.get("samples")
    if samples is not None:
        feed["lengths"] = np.array([samples.shape[1], samples.shape[1] // 3, 1000], np.int64)
    return feed
