"""What a model takes of a segment."""

import json
from dataclasses import dataclass
from pathlib import Path

RESIZES = ("squash", "trim", "cover")  # whole; without its ends beyond 4:3; the centre, of the model's own shape


def kept_shapes(resize: str, width: int, height: int) -> tuple[float, float]:
    """Tallest and widest shape on show, width by height, that loses nothing on its way to this size."""
    return {"squash": (0.0, float("inf")), "trim": (3 / 4, 4 / 3), "cover": (width / height, width / height)}[resize]


@dataclass(frozen=True)
class SoundShape:
    sample_rate: int  # Hz
    samples: int  # of a segment
    channels: str  # "first" | "mean"


@dataclass(frozen=True)
class FrameShape:
    """Frames stand in the middles of equal parts of a segment."""

    count: int
    seconds: float  # of a segment
    height: int
    width: int
    resize: str  # of RESIZES


@dataclass(frozen=True)
class SegmentShape:
    sample_rate: int  # Hz
    samples: int
    channels: str  # "first" | "mean"
    height: int
    width: int
    resize: str  # of RESIZES
    frames: int = 1

    @classmethod
    def of_bundle(cls, folder: Path) -> "SegmentShape":
        bundle = json.loads((folder / "bundle.json").read_text())
        sound, picture = bundle["audio"], bundle["visual"]
        return cls(
            sound["sampleRateHz"], sound["samples"], sound["channels"],
            picture["height"], picture["width"], picture["resize"], picture["framesPerSegment"],
        )  # fmt: skip

    @property
    def seconds(self) -> float:
        return self.samples / self.sample_rate

    @property
    def sound(self) -> SoundShape:
        return SoundShape(self.sample_rate, self.samples, self.channels)

    @property
    def picture(self) -> FrameShape:
        return FrameShape(self.frames, self.seconds, self.height, self.width, self.resize)
