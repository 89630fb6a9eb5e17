"""Notes that exporters leave in ONNX graphs, such as source paths of the machine that exported them."""

from collections.abc import Iterator
from pathlib import Path

import onnx
from google.protobuf.message import Message

_NOTES = ("metadata_props", "doc_string")


def count_notes(model: onnx.ModelProto) -> int:
    """Returns how many notes there are in a model, its functions, subgraphs and tensors included."""
    return sum(len(getattr(message, note)) if note == _NOTES[0] else 1 for message, note in _noted(model))


def strip(model: onnx.ModelProto) -> int:
    """Removes every note from a model. Returns how many there were."""
    removed = count_notes(model)
    for message, note in list(_noted(model)):
        message.ClearField(note)
    return removed


def strip_file(path: Path) -> int:
    """Strips the graph in a file. Returns how many notes it had; a file without any stays as it is."""
    model = onnx.load(path)
    removed = strip(model)
    if removed:
        path.write_bytes(model.SerializeToString(deterministic=True))
    return removed


def _noted(message: Message) -> Iterator[tuple[Message, str]]:
    """Yields each message with the name of a note that it holds. Finds the notes of every message type of ONNX."""
    for field, value in message.ListFields():
        if field.name in _NOTES:
            if value:  # an empty text may be set
                yield message, field.name
        elif field.message_type:
            for inner in [value] if isinstance(value, Message) else value:
                yield from _noted(inner)
