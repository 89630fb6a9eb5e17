"""Sizes of CAV-MAE as data."""

from dataclasses import asdict, dataclass, replace
from typing import Literal

from ..options import check_choices, check_least


@dataclass(frozen=True)
class CavMaeConfig:
    """What a checkpoint needs to be rebuilt; saved with the weights."""

    dim: int
    heads: int
    tower_depth: int  # blocks of each modality
    joint_depth: int  # shared blocks
    decoder_dim: int
    decoder_heads: int
    decoder_depth: int  # 0 = no decoder
    mlp_ratio: int = 4
    kind: Literal["cav-mae", "sync"] = "cav-mae"
    audio_stem: Literal["patch", "mn04"] = "patch"
    visual_stem: Literal["patch", "lite0"] = "patch"
    patch: int = 16
    frames: int = 1024  # of the filterbank, 10 ms each, that the model sees at once
    mel_bins: int = 128
    image: int = 224  # pixels
    mask_ratio: float = 0.75
    audio_mask: Literal["unstructured", "time", "freq", "tf"] = "unstructured"
    norm_pix: bool = True  # standardise each target patch
    temperature: float = 0.05
    bidirectional: bool = False  # the paper's contrast is visual-anchored
    contrast_mask_ratio: float | None = None  # of a pass of its own for the contrast; None: it shares the masked pass
    mae_weight: float = 1.0
    contrast_weight: float = 0.01
    classes: int = 0  # of the tagging head; 0 = none
    seconds: float = 10.0  # of sound in a training segment
    windows: int = 1  # Sync: pictures of a training segment, each with its own `frames` of sound
    segment_frames: int = 1024  # Sync: rows of the filterbank that the windows slide over
    registers: int = 0  # Sync: extra tokens that live in the towers only

    def __post_init__(self):
        check_choices(self)
        check_least(self, dim=4, tower_depth=0, joint_depth=0, patch=1, frames=1, image=1, classes=0, windows=1)
        for name, heads, dim in (
            ("heads", self.heads, self.dim),
            ("decoder_heads", self.decoder_heads, self.decoder_dim),
        ):
            if dim and (heads < 1 or dim % heads):
                raise ValueError(f"Expected {name} that divide a dimension of {dim}, got {heads}")
        for name, stem in (("frames", self.audio_stem), ("image", self.visual_stem)):
            if stem == "patch" and getattr(self, name) % self.patch:
                raise ValueError(f"Expected {name} in multiples of a patch, {self.patch}, got {getattr(self, name)}")
        if not 0 < self.mask_ratio < 1:
            raise ValueError(f"Expected a mask_ratio between 0 and 1, got {self.mask_ratio}")
        if self.contrast_mask_ratio is not None and not 0 <= self.contrast_mask_ratio < 1:
            raise ValueError(f"Expected a contrast_mask_ratio of 0 or more, below 1, got {self.contrast_mask_ratio}")

    @property
    def rows(self) -> int:
        """Of the filterbank, in a training segment."""
        return self.segment_frames if self.kind == "sync" else self.frames

    def to_json(self) -> dict:
        return asdict(self)

    def with_classes(self, classes: int) -> "CavMaeConfig":
        return replace(self, classes=classes)


# Sync: 16 pictures of ten seconds, each with 4.16 s of the sound around it (SPEC 12).
KINDS = {
    "cav-mae": {"kind": "cav-mae"},
    "sync": {"kind": "sync", "frames": 416, "seconds": 10.0, "windows": 16, "registers": 8},
}

SIZES = {
    "tiny": CavMaeConfig(64, 4, 2, 1, 48, 4, 1),
    "small": CavMaeConfig(128, 2, 2, 1, 64, 2, 1, frames=512, image=96, seconds=5.0),  # for a CPU core
    "base": CavMaeConfig(768, 12, 11, 1, 512, 16, 8),
}
