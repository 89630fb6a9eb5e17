"""Notes that exporters leave in ONNX graphs, such as source paths of the machine that exported them."""

from collections.abc import Iterator
from pathlib import Path

import onnx


def strip(model: onnx.ModelProto) -> int:
    """Removes every note from a model, its functions and subgraphs included. Returns how many there were."""
    removed = 0
    for noted in _noted(model):
        removed += len(noted.metadata_props) if hasattr(noted, "metadata_props") else 0
        removed += bool(noted.doc_string)
        if hasattr(noted, "metadata_props"):
            del noted.metadata_props[:]
        noted.doc_string = ""
    return removed


def strip_file(path: Path) -> int:
    """Strips the graph in a file. Returns how many notes it had; a file without any stays as it is."""
    model = onnx.load(path)
    removed = strip(model)
    if removed:
        path.write_bytes(model.SerializeToString(deterministic=True))
    return removed


def _noted(model: onnx.ModelProto) -> Iterator:
    yield model
    yield from _noted_in(model.graph)
    for function in model.functions:
        yield function
        yield from _noted_nodes(function.node)
        yield from function.value_info


def _noted_in(graph: onnx.GraphProto) -> Iterator:
    yield graph
    for values in (graph.input, graph.output, graph.value_info, graph.initializer):
        yield from values
    yield from _noted_nodes(graph.node)


def _noted_nodes(nodes) -> Iterator:
    for node in nodes:
        yield node
        for attribute in node.attribute:
            yield attribute
            for subgraph in (attribute.g, *attribute.graphs) if attribute.HasField("g") else attribute.graphs:
                yield from _noted_in(subgraph)
