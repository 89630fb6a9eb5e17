"""Published weights as a bundle or as a checkpoint to train on from, and a checkpoint as published weights."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ..data.audioset import read_labels
from ..model import checkpoint
from ..model.encoders import heard_samples
from ..model.frontend import FbankParams
from ..model.published import Published, read
from .export_cavmae import Release, write_model

TUNED = ("multimodal", "audio", "visual")


@dataclass(frozen=True)
class ImportOptions:
    tuned: str | None = None  # what the tagging head was tuned on
    tagging: Path | None = None  # the file that tags, where another one searches
    seconds: float | None = None  # of sound in a segment; the file's own where not said
    labels: Path | None = None  # CSV of the classes, where they are not AudioSet's 527
    heads: tuple[int, int] | None = None  # of the encoder and the decoder, where they are not the paper's


def import_bundle(file: Path, folder: Path, options: ImportOptions, release: Release = Release()) -> dict:
    """Searches by `file`; tags by `options.tagging`, else by `file` where it has a head."""
    search = read(file, options.seconds, options.heads)
    tags = _tagger(search, options) if options.tagging else search
    return write_model(
        search.model,
        folder,
        tagging_mode(tags.kind, options.tuned),
        release,
        tagger=tags.model,
        labels=read_labels(options.labels) if options.labels else None,
        sources={"search": _source(file), **({"tags": _source(options.tagging)} if options.tagging else {})},
    )


def import_checkpoint(file: Path, path: Path, options: ImportOptions) -> None:
    published = read(file, options.seconds, options.heads)
    if published.kind == "finetuned-audio":
        raise ValueError(f"{file.name}: Expected weights that hear and see, got the audio half alone")
    checkpoint.save(path, published.model, 0)


def tagging_mode(kind: str, tuned: str | None) -> str:
    """The mode of a bundle, from a file's kind and from what is said of its head."""
    if kind in ("pretrained", "sync"):
        if tuned:
            raise ValueError(f"Expected no --tuned for a {kind} file, which has no tagging head, got {tuned}")
        return "none"
    if kind == "finetuned-audio" and tuned in (None, "audio"):
        return "audio"
    if kind == "finetuned" and tuned in TUNED:
        return "joint" if tuned == "multimodal" else tuned
    raise ValueError(
        f"Expected --tuned {'audio' if kind == 'finetuned-audio' else ', '.join(TUNED)} "
        f"(the weights do not tell what their head was tuned on), got {tuned}"
    )


def _tagger(search: Published, options: ImportOptions) -> Published:
    """Cut to the sound that the searching model hears."""
    seconds = heard_samples(search.model.config) / FbankParams().sample_rate
    tags = read(options.tagging, seconds, options.heads)
    if not tags.model.config.classes:
        raise ValueError(f"{options.tagging.name}: Expected fine-tuned weights to tag with, got {tags.kind} ones")
    return tags


def _source(file: Path) -> dict:
    with file.open("rb") as stream:
        return {"file": file.name, "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}
