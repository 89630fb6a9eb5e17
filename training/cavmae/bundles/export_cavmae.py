"""A CAV-MAE as a bundle: one model, or one that searches and another that tags."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..data.audioset import CLASSES, audioset_labels
from ..data.sources import segment_shape
from ..model import checkpoint
from ..model.cav_mae import CavMae
from ..model.config import CavMaeConfig
from ..model.encoders import AudioEncoder, JointTagger, VisualEncoder, heard_samples
from .export import AudioInput, BundleSpec, VisualInput, metric_rows, write_bundle
from .graph import Graph

# In order of preference. A head that was tuned on both modalities tags one alone too.
TAGGING_FROM = {"none": (), "audio": ("audio",), "visual": ("visual",), "joint": ("joint", "audio", "visual")}
PAPERS = {"cav-mae": "CAV-MAE, Gong et al., ICLR 2023", "sync": "CAV-MAE Sync, Araujo et al., CVPR 2025"}
FRAMES_PER_SEGMENT = 10
RETRIEVAL = ("embedding", "tokens")
ENCODERS = {"audio": AudioEncoder, "visual": VisualEncoder}


@dataclass(frozen=True)
class Release:
    """On what terms and in what form a bundle is given out."""

    licence: str = "unstated"
    free: bool = False  # trained on free data only
    precision: str = "fp32"
    judged_on: Path | None = None  # clips or a pack on which another precision must answer as fp32
    measure: Callable[[Path], list] | None = None  # the bundle's folder -> the metrics of its card
    about: str = ""  # what the card says besides, in Markdown
    attributions: tuple[str, ...] = ()
    extra_files: dict[str, str] = field(default_factory=dict)


def export_cavmae(source: Path, folder: Path, mode: str | None, release: Release) -> dict:
    """`mode` says what the head was tuned on: none, audio, visual or joint; None is what the checkpoint says."""
    model, state = checkpoint.load(source)
    tuned = state.get("run", {}).get("tune", {}).get("mode")
    if mode and tuned and mode != tuned:
        raise ValueError(f"Expected the mode that {source} was tuned in, {tuned}, got {mode}")
    return write_model(model, folder, mode or tuned or "none", release, labels=state.get("labels"))


def write_model(
    model: CavMae,
    folder: Path,
    mode: str,
    release: Release = Release(),
    *,
    tagger: CavMae | None = None,
    labels: list[dict] | None = None,
    sources: dict | None = None,
) -> dict:
    """`tagger` has the head where `model` is to search alone; `sources` tells of the files that both came from."""
    tagger = tagger or model
    _expect_head(mode, tagger.config)
    _expect_same_input(model.config, tagger.config)
    _expect_sources(mode, model, tagger)
    config, shape = model.config, segment_shape(model.config)
    spec = BundleSpec(
        name=folder.name,
        embedding=config.dim,
        audio=AudioInput(shape.sample_rate, heard_samples(config), shape.channels),
        visual=VisualInput(config.image, config.image, shape.resize, FRAMES_PER_SEGMENT),
        labels=_labels(tagger.config, labels) if mode != "none" else [],
        model={"kind": config.kind, "mode": mode, "config": config.to_json(), **(sources or {})},
        licence=release.licence,
        free=release.free,
        attributions=[
            f"{PAPERS[config.kind]} ({'architecture and weights' if sources else 'architecture'})",
            *release.attributions,
        ],
        card=lambda bundle: card(bundle, release.about),
        tagging_from=TAGGING_FROM[mode],
        tower_shapes=_tower_shapes(tagger),
        extra_files=release.extra_files,
    )
    graphs = _graphs(model, tagger, mode)
    return write_bundle(folder, spec, graphs, release.measure, release.precision, release.judged_on)


def _graphs(model: CavMae, tagger: CavMae, mode: str) -> dict[str, Graph]:
    """Retrieval and tagging share a graph where they share the weights."""
    graphs = {}
    for name in _modalities(model):
        encoder = ENCODERS[name]
        tags = ("logits",) if name in TAGGING_FROM[mode] else ()
        tags += ("tower",) if mode == "joint" else ()
        own = RETRIEVAL + tags if tagger is model else RETRIEVAL
        graphs[name] = Graph(encoder(model, own, missing=mode == "joint"), own)
        if tags and tagger is not model:
            graphs[f"{name}_tagging"] = Graph(encoder(tagger, tags, missing=mode == "joint"), tags)
    if mode == "joint":
        graphs["joint"] = Graph(JointTagger(tagger), ("logits",))
    return graphs


def _expect_head(mode: str, config: CavMaeConfig) -> None:
    if (mode != "none") != bool(config.classes):
        raise ValueError(
            f"Expected a tagging head exactly where the mode is not none, got {mode} and {config.classes} classes"
        )


def _expect_same_input(search: CavMaeConfig, tags: CavMaeConfig) -> None:
    inputs = [(segment_shape(c).sample_rate, heard_samples(c), c.image) for c in (search, tags)]
    if inputs[0] != inputs[1]:
        raise ValueError(f"Expected a tagger of the same rate, samples and pixels {inputs[0]}, got {inputs[1]}")


def _expect_sources(mode: str, model: CavMae, tagger: CavMae) -> None:
    needed = {"audio", "visual"} if mode == "joint" else set(TAGGING_FROM[mode])
    for what, found in (("search", model), ("tag", tagger)):
        if lacking := needed - set(_modalities(found)):
            raise ValueError(f"Expected weights that {what} by {', '.join(lacking)}, got the audio half alone")


def _modalities(model: CavMae) -> tuple[str, ...]:
    """The audio half of a tagger is published without the visual one."""
    return ("audio", "visual") if hasattr(model, "norm_v") else ("audio",)


def _labels(config: CavMaeConfig, given: list[dict] | None) -> list[dict]:
    labels = given or (audioset_labels() if config.classes == CLASSES else [])
    if [label["index"] for label in labels] != list(range(config.classes)):
        raise ValueError(
            f"Expected labels 0 to {config.classes - 1} in order, got {len(labels)}: "
            "give --labels, a CSV of index, mid, display_name"
        )
    return labels


def _tower_shapes(model: CavMae) -> tuple[tuple[int, int], ...]:
    extra = 1 if model.config.kind == "sync" else 0  # the class token
    return tuple((rows * columns + extra, model.config.dim) for rows, columns in (model.grid_a, model.grid_v))


def card(bundle: dict, about: str) -> str:
    model = bundle["model"]
    tagging = ", ".join(bundle["tagging"]["from"]) if bundle.get("tagging") else "none"
    lines = [
        f"# {bundle['name']}",
        "",
        f"CAV-MAE ({model['kind']}), {bundle['embedding']} dimensions, tagging: {tagging}.",
    ]
    if about:
        lines += ["", about]
    if bundle["metrics"]:
        lines += [
            "",
            "## Measured",
            "",
            "Through the graphs of this folder. Ranks are strict, intervals are bootstrap.",
        ]
        lines += ["", *metric_rows(bundle)]
    lines += ["", "## Numbers", "", *(f"- {name}: {value}" for name, value in model["config"].items())]
    lines += ["", *(f"{name}: {model[name]}" for name in ("search", "tags") if name in model)]
    lines += ["", "## Licence", "", f"{bundle['licence']}, with these attributions:", ""]
    return "\n".join([*lines, *(f"- {line}" for line in bundle["attributions"]), ""])
