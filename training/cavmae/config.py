"""Sizes of CAV-MAE as data."""

from dataclasses import asdict, dataclass, replace


@dataclass(frozen=True)
class CavMaeConfig:
    """What a checkpoint needs to be rebuilt; saved with the weights."""

    dim: int
    heads: int
    tower_depth: int  # blocks of each modality
    joint_depth: int  # shared blocks
    decoder_dim: int
    decoder_heads: int
    decoder_depth: int
    mlp_ratio: int = 4
    audio_stem: str = "patch"  # "patch" | "mn04"
    visual_stem: str = "patch"  # "patch" | "lite0"
    patch: int = 16
    frames: int = 1024  # of the filterbank, 10 ms each
    mel_bins: int = 128
    image: int = 224  # pixels
    mask_ratio: float = 0.75
    audio_mask: str = "unstructured"  # | "time" | "freq" | "tf"
    norm_pix: bool = True  # standardise each target patch
    temperature: float = 0.05
    bidirectional: bool = False  # the paper's contrast is visual-anchored
    mae_weight: float = 1.0
    contrast_weight: float = 0.01
    classes: int = 0  # of the tagging head; 0 = none

    def to_json(self) -> dict:
        return asdict(self)

    def with_classes(self, classes: int) -> "CavMaeConfig":
        return replace(self, classes=classes)


SIZES = {
    "tiny": CavMaeConfig(64, 4, 2, 1, 48, 4, 1),
    "small": CavMaeConfig(384, 6, 5, 1, 256, 8, 4),
    "base": CavMaeConfig(768, 12, 11, 1, 512, 16, 8),
}
