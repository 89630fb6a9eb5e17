"""What a bundle's graphs say of segments: the golden one, or real ones."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from .graph import open_graph

Answers = dict[str, dict[str, np.ndarray]]  # by "audio", "visual", "joint", then by "embedding", "logits"


@dataclass(frozen=True)
class Segments:
    """Sounds and frames in the shape that a bundle takes, as many of one as of the other."""

    samples: np.ndarray  # float32 [n, T]
    lengths: np.ndarray  # int64 [n]
    frames: np.ndarray  # uint8 [n, H, W, 3]

    def feeds(self, modality: str, rows: slice = slice(None)) -> dict[str, np.ndarray]:
        if modality == "audio":
            return {"samples": self.samples[rows], "lengths": self.lengths[rows]}
        return {"frames": self.frames[rows]}


def answers(folder: Path, segments: Segments) -> Answers:
    """Each segment by itself, as a server asks for it: the tagging graphs' logits where there are any."""
    graphs = {path.stem: open_graph(path) for path in folder.glob("*.onnx")}
    served = [name for name in ("audio", "visual") if name in graphs]
    found = {name: _modality_answers(graphs, name, segments.feeds(name)) for name in served}
    towers = {f"{name}_tower": said.pop("tower") for name, said in found.items() if "tower" in said}
    if "joint" in graphs:
        found["joint"] = _by_row(graphs["joint"], ["logits"], towers)
    return found


def _modality_answers(graphs: dict, name: str, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    said = {}
    for graph in (graphs[name], graphs.get(f"{name}_tagging")):
        if graph:
            offered = {output.name for output in graph.get_outputs()}
            said |= _by_row(graph, sorted(offered - {"tokens"}), feeds)
    return said


def _by_row(graph: onnxruntime.InferenceSession, outputs: list[str], feeds: dict) -> dict[str, np.ndarray]:
    rows = [graph.run(outputs, row) for row in split_rows(feeds)]
    return {name: np.concatenate(values) for name, values in zip(outputs, zip(*rows, strict=True), strict=True)}


def split_rows(feeds: dict[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    """Batches of one."""
    count = len(next(iter(feeds.values())))
    return ({name: value[row : row + 1] for name, value in feeds.items()} for row in range(count))
