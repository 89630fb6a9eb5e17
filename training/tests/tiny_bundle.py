"""The smallest CAV-MAE with all that a bundle can hold, its weights drawn by lot: it knows nothing, and is quick.

python -m tests.tiny_bundle ../test/fixtures/tiny-cavmae
"""

import sys
from pathlib import Path

import torch

from cavmae.bundles.export import AudioInput, BundleSpec, VisualInput, write_bundle
from cavmae.bundles.graph import Graph
from cavmae.data.audioset import audioset_labels
from cavmae.model.cav_mae import CavMae
from cavmae.model.config import CavMaeConfig
from cavmae.model.encoders import AudioEncoder, JointTagger, VisualEncoder, heard_samples

CLASSES = 5
RETRIEVAL = ("embedding", "tokens")


def tiny_model(seed: int = 0, **other) -> CavMae:
    """Hears 0.975 s, sees 32 x 32 pixels. Its norms differ, as those of a trained model do."""
    torch.manual_seed(seed)
    sizes = {"dim": 16, "heads": 2, "tower_depth": 1, "joint_depth": 1, "frames": 96, "image": 32, "classes": CLASSES}
    model = CavMae(CavMaeConfig(decoder_dim=16, decoder_heads=2, decoder_depth=0, **{**sizes, **other}))
    for name, parameter in model.named_parameters():
        if "norm" in name:
            torch.nn.init.normal_(parameter, mean=float(name.endswith("weight")), std=0.3)
    return model.eval()


def write_tiny_bundle(folder: Path, **options) -> dict:
    """Sound is searched and tagged by one graph, the picture by two of unlike weights, both together by a third."""
    model, tagger = tiny_model(0), tiny_model(1)
    size, tagging = model.config.image, ("logits", "tower")
    graphs = {
        "joint": Graph(JointTagger(tagger), ("logits",)),
        "audio": Graph(AudioEncoder(model, (*RETRIEVAL, *tagging), missing=True), (*RETRIEVAL, *tagging)),
        "visual": Graph(VisualEncoder(model, RETRIEVAL), RETRIEVAL),
        "visual_tagging": Graph(VisualEncoder(tagger, tagging, missing=True), tagging),
    }
    spec = BundleSpec(
        name=folder.name,
        embedding=model.config.dim,
        audio=AudioInput(16_000, heard_samples(model.config), "first"),
        visual=VisualInput(size, size, "cover", 4),
        labels=audioset_labels()[:CLASSES],
        model={"kind": "cav-mae", "config": model.config.to_json()},
        licence="Apache-2.0",
        free=True,
        attributions=[],
        card=lambda bundle: f"# {bundle['name']}\n\nWeights drawn by lot, for tests (training/tests/tiny_bundle.py).\n",
        tagging_from=("joint", "audio", "visual"),
        tower_shapes=tuple((rows * columns, model.config.dim) for rows, columns in (model.grid_a, model.grid_v)),
    )
    return write_bundle(folder, spec, graphs, **options)


if __name__ == "__main__":
    write_tiny_bundle(Path(sys.argv[1]))
