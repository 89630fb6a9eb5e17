"""Puts a residual behind a graph that is already written, whatever made it and in whatever precision."""

import tempfile
from pathlib import Path

import onnx
import torch
import torch.nn.functional as F
from onnx import compose
from torch import Tensor, nn

from ..model.heads import Residual
from .graph import Graph, export_graph
from .metadata import strip

BEFORE = "_before"  # what the outputs of the graph are called that the residual replaces


class Step(nn.Module):
    """tokens [B, N, D] and the residual's input [B, C] -> embedding [B, D], tokens [B, N, D].

    Every token takes the same step, so that their mean is still the embedding before its norm.
    """

    def __init__(self, residual: Residual):
        super().__init__()
        self.residual = residual.eval()

    def forward(self, tokens: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        moved = tokens + self.residual.plain(features)[:, None]
        return F.normalize(moved.mean(dim=1), dim=-1), moved


class TokenStep(Step):
    """The same for graphs without a pool: the residual sees the mean token."""

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        return super().forward(tokens, tokens.mean(dim=1))


def attach(base: Path, made: Path, residual: Residual, features: str) -> None:
    """Writes `base` with `residual` behind it; `features` names the output that the residual takes."""
    graph = onnx.load(base)
    outputs = [value.name for value in graph.graph.output]
    for name in ("embedding", "tokens"):
        _rename(graph.graph, name, name + BEFORE)
    step = _exported(residual, features, _shape(graph.graph, "tokens" + BEFORE))
    step.ir_version = graph.ir_version
    wires = [("tokens" + BEFORE, "tokens_in")] + ([(features, "features_in")] if features != "tokens" else [])
    merged = compose.merge_models(graph, step, io_map=wires, outputs=outputs, name=graph.graph.name)
    results = {value.name: value for value in merged.graph.output}
    del merged.graph.output[:]
    merged.graph.output.extend(results[name] for name in outputs)
    strip(merged)
    onnx.checker.check_model(merged)
    onnx.save(merged, made)


def _exported(residual: Residual, features: str, tokens: tuple[int, int]) -> onnx.ModelProto:
    """With names of its own: those of its insides must not meet those of the graph before it."""
    module, example = TokenStep(residual), {"tokens_in": torch.randn(2, *tokens)}
    if features != "tokens":
        module, example = Step(residual), example | {"features_in": torch.randn(2, len(residual.mean))}
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "step.onnx"
        export_graph(path, Graph(module, ("embedding", "tokens")), example)
        step = onnx.load(path)
    return compose.add_prefix(step, "step_", rename_inputs=False, rename_outputs=False)


def _shape(graph: onnx.GraphProto, output: str) -> tuple[int, int]:
    """Without the batch."""
    value = next(value for value in graph.output if value.name == output)
    count, width = (size.dim_value for size in value.type.tensor_type.shape.dim[1:])
    return count, width


def _rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    for node in graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]
    for value in (*graph.output, *graph.value_info):
        value.name = new if value.name == old else value.name
