"""A bundle opened in onnxruntime, so that what is measured is what is served."""

import functools
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import onnxruntime

from ..media.decode import decode_frames, decode_picture, decode_sound, pad
from ..media.shape import SegmentShape

BATCH = 8


class Encoder:
    """Opens a graph when it is first asked for: a linear probe needs one of them, a joint tagger all."""

    def __init__(self, folder: Path, threads: int = 0):  # 0: as many as onnxruntime sees fit
        self.folder, self.threads = folder, threads
        self.bundle = json.loads((folder / "bundle.json").read_text())
        self.shape = SegmentShape.of_bundle(folder)
        self._sessions: dict[str, onnxruntime.InferenceSession] = {}

    @functools.cached_property
    def labels(self) -> list[dict]:
        """[{"index", "mid", "name"}], in the order of the logits; [] where the bundle does not tag."""
        tagging = self.bundle["tagging"]
        return json.loads((self.folder / tagging["labels"]).read_text()) if tagging else []

    def sound(self, source: bytes | Path) -> np.ndarray:
        return decode_sound(source, self.shape.sample_rate, self.shape.seconds, self.shape.channels)

    def picture(self, source: bytes | Path) -> np.ndarray:
        return decode_picture(source, (self.shape.height, self.shape.width), self.shape.resize)

    def frames(self, path: Path) -> np.ndarray:
        """Of the first segment.                                                          uint8 [F, H, W, 3]"""
        size = (self.shape.height, self.shape.width)
        return decode_frames(path, self.shape.frames, self.shape.seconds, size, self.shape.resize)

    def hear(self, sounds: Iterable[np.ndarray], output: str = "embedding") -> np.ndarray:
        """Unit embeddings, or another output of the audio graph.                         [n, D]"""
        return self.run("audio", [output], self.sound_feeds(sounds))[0]

    def see(self, frames: Iterable[np.ndarray], output: str = "embedding") -> np.ndarray:
        """Unit embeddings of single frames, or another output of the visual graph.       [n, D]"""
        return self.run("visual", [output], self.frame_feeds(frames))[0]

    def watch(self, frames: np.ndarray) -> np.ndarray:
        """The mean of the frames' embeddings, unit length.                               [D]"""
        mean = self.see(frames).mean(axis=0)
        return mean / np.linalg.norm(mean)

    def offers(self, graph: str, output: str) -> bool:
        return graph in self.bundle["graphs"] and output in self._outputs(graph)

    def run(self, graph: str, outputs: Sequence[str], feeds: Iterable[dict[str, np.ndarray]]) -> list[np.ndarray]:
        """Each output, with a row for each row of all feeds."""
        offered = self._outputs(graph)
        unknown = [output for output in outputs if output not in offered]
        if unknown:
            raise ValueError(f"Expected outputs of {graph} among {', '.join(offered)}, got {', '.join(unknown)}")
        session = self._session(graph)
        return [np.concatenate(parts) for parts in zip(*(session.run(outputs, feed) for feed in feeds), strict=True)]

    def sound_feeds(self, sounds: Iterable[np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
        for batch in batches(sounds):
            lengths = np.array([len(sound) for sound in batch], np.int64)
            yield {"samples": np.stack([pad(sound, self.shape.samples) for sound in batch]), "lengths": lengths}

    def frame_feeds(self, frames: Iterable[np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
        for batch in batches(frames):
            yield {"frames": np.stack(batch)}

    def _outputs(self, graph: str) -> list[str]:
        return [value.name for value in self._session(graph).get_outputs() if value.type == "tensor(float)"]

    def _session(self, graph: str) -> onnxruntime.InferenceSession:
        if graph not in self._sessions:
            graphs = self.bundle["graphs"]
            if graph not in graphs:
                raise ValueError(f"Expected one of the bundle's graphs, {', '.join(graphs)}, got {graph}")
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = self.threads
            model = (self.folder / graphs[graph]["file"]).read_bytes()
            if hashlib.sha256(model).hexdigest() != graphs[graph]["sha256"]:
                raise ValueError(f"Expected the {graph} graph that bundle.json names, got another in {self.folder}")
            self._sessions[graph] = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
        return self._sessions[graph]


def batches(items: Iterable[np.ndarray]) -> Iterator[list[np.ndarray]]:
    iterator = iter(items)
    while batch := list(islice(iterator, BATCH)):
        yield batch
