"""AudioSet's classes, and which of them a picture of an ImageNet class probably sounds like."""

import csv
import functools
import json
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
CLASSES = 527


def audioset_labels() -> list[dict]:
    """[{"index", "mid", "name"}], in the order of every 527-class output."""
    return read_labels(HERE / "class_labels_indices_as.csv")


def read_labels(path: Path) -> list[dict]:
    """A list of classes as AudioSet's is written: index, mid, display_name."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        if rows.fieldnames != ["index", "mid", "display_name"]:
            raise ValueError(f"Expected columns index, mid, display_name in {path}, got {rows.fieldnames}")
        return [{"index": int(row["index"]), "mid": row["mid"], "name": row["display_name"]} for row in rows]


@functools.cache
def column_of_mid() -> dict[str, int]:
    """Read once: every sample of a training run asks for it."""
    return {label["mid"]: label["index"] for label in audioset_labels()}


def audioset_map() -> np.ndarray:
    """What a clip in which ImageNet class i is seen probably sounds like.                [1000, 527]"""
    column = column_of_mid()
    table = np.zeros((1000, CLASSES), np.float32)
    for row in json.loads((HERE / "imagenet_to_audioset.json").read_text()):
        for mid, weight in row["audioset"].items():
            table[row["index"], column[mid]] = weight
    return table
