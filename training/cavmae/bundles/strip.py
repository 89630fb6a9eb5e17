"""A bundle without the notes that exporters leave in its graphs: the same embeddings under a new fingerprint."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from .export import fingerprint, graph_files, placed, write_json
from .metadata import count_notes, strip_file

_BATCH = 3  # rows that a graph is asked with before and after


def strip_bundle(folder: Path) -> list[str]:
    """
    Strips the graphs of a bundle and gives it its new fingerprint. The old one is listed under `equals`, so that
    libraries of it still open. Replaces the folder in one step, and only if each graph answers bit for bit as
    before: ValueError if one does not. Returns the names of the graphs that had notes.
    """
    bundle = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
    files = {name: graph["file"] for name, graph in bundle["graphs"].items()}
    noted = [name for name, file in files.items() if count_notes(onnx.load(folder / file))]
    if not noted:
        return []
    with placed(folder) as made:
        shutil.copytree(folder, made, dirs_exist_ok=True)
        for name in noted:
            strip_file(made / files[name])
            if not _same_answers(folder / files[name], made / files[name]):
                raise ValueError(f"Expected {name} to answer as before, got other numbers: the bundle stays as it was")
        write_json(made / "bundle.json", _described(bundle, made))
    return noted


def _described(before: dict, made: Path) -> dict:
    """
    The manifest of the stripped bundle. `equals` names the fingerprint that it is a list for: a bundle with other
    graphs that takes the list over with the rest of a manifest is refused.
    """
    after = before | {"graphs": graph_files(made)}
    after["fingerprint"] = fingerprint(after)
    if after["fingerprint"] != before["fingerprint"]:  # it is the same if only graphs that tag had notes
        earlier = [*before.get("equals", {}).get("earlier", []), before["fingerprint"]]
        after["equals"] = {"fingerprint": after["fingerprint"], "earlier": earlier}
    return after


def _same_answers(before: Path, after: Path) -> bool:
    one, other = (onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]) for path in (before, after))
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
