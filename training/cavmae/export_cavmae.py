"""A CAV-MAE checkpoint as a bundle."""

from pathlib import Path

from . import checkpoint
from .data import CLASSES, audioset_labels
from .export import AudioInput, BundleSpec, Graph, VisualInput, write_bundle
from .model import AudioEncoder, CavMae, JointTagger, VisualEncoder
from .pretrain import sound_shape


def export_cavmae(source: Path, folder: Path, mode: str, licence: str, free: bool) -> dict:
    """`mode` says what the head was tuned on (nothing in the weights does): none, audio, visual or joint."""
    model, _ = checkpoint.load(source)
    return write_model(model, folder, mode, licence, free)


def write_model(model: CavMae, folder: Path, mode: str, licence: str = "unstated", free: bool = False) -> dict:
    config = model.config
    if (mode != "none") != bool(config.classes):
        raise ValueError(
            f"Expected a tagging head exactly where the mode is not none, got {mode} and {config.classes} classes"
        )
    rate, samples, channels = sound_shape(config)
    spec = BundleSpec(
        name=folder.name,
        embedding=config.dim,
        audio=AudioInput(rate, samples, channels),
        visual=VisualInput(config.image, config.image, "cover", 10),
        labels=audioset_labels() if config.classes == CLASSES else [],
        model={"kind": "cav-mae", "mode": mode, "config": config.to_json()},
        licence=licence,
        free=free,
        attributions=["CAV-MAE, Gong et al., ICLR 2023 (architecture)"],
        card=card,
        tagging_from=() if mode == "none" else (mode,),
        tower_shapes=tuple((grid[0] * grid[1], config.dim) for grid in (model.grid_a, model.grid_v)),
    )
    graphs = {"audio": _tower_graph(model, AudioEncoder, mode == "audio", mode == "joint")}
    graphs["visual"] = _tower_graph(model, VisualEncoder, mode == "visual", mode == "joint")
    if mode == "joint":
        graphs["joint"] = Graph(JointTagger(model), ("logits",))
    return write_bundle(folder, spec, graphs)


def _tower_graph(model: CavMae, encoder: type, tags: bool, tower: bool) -> Graph:
    outputs = ("embedding", "tokens") + (("logits",) if tags else ()) + (("tower",) if tower else ())
    return Graph(encoder(model, tags, tower), outputs)


def card(bundle: dict) -> str:
    config = bundle["model"]["config"]
    lines = [
        f"# {bundle['name']}",
        "",
        f"CAV-MAE, {bundle['embedding']} dimensions, tagging: {bundle['model']['mode']}.",
    ]
    lines += ["", *(f"- {name}: {value}" for name, value in config.items()), "", f"Licence: {bundle['licence']}."]
    return "\n".join([*lines, ""])
