"""One ONNX graph: exported with its attention, norms and GELU fused, opened, and asked what fused."""

import ast
import logging
import tempfile
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnxruntime
import torch
from onnxscript import ir
from onnxscript.rewriter.ort_fusions import optimize_for_ort
from torch import Tensor, nn

from .metadata import strip_file

OPSET = 20  # the newest whose attention pattern onnxscript fuses
FRONTEND = "frontend"  # name of the module that stays as it is in every precision
_FUSED = {
    "MultiHeadAttention", "LayerNormalization", "SkipLayerNormalization", "BiasGelu", "Gelu", "QLinearConv",
    "DynamicQuantizeMatMul", "MatMulIntegerToFloat",
}  # fmt: skip


@dataclass(frozen=True)
class Graph:
    module: nn.Module
    outputs: tuple[str, ...]  # in the order of the module's results


def export_graph(path: Path, graph: Graph, example: dict[str, Tensor]) -> None:
    batch = torch.export.Dim("batch", min=1, max=4096)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it tells of torchvision, which nothing here needs
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*axis name: batch will not be used")  # inputs share their batch
        program = torch.onnx.export(
            graph.module.eval(),
            tuple(example.values()),
            input_names=list(example),
            output_names=list(graph.outputs),
            dynamic_shapes=tuple({0: batch} for _ in example),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    fused, _ = optimize_for_ort(program.model)
    _name_by_module(fused.graph)
    for noted in (fused, fused.graph, *fused.graph.inputs, *fused.graph.initializers.values()):
        noted.metadata_props.clear()
    ir.save(fused, path)
    strip_file(path)


def open_graph(path: Path, threads: int = 1) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])


def fused_counts(path: Path) -> dict[str, int]:
    """Fused nodes of the graph as onnxruntime runs it on this CPU; a convolution with its activation is one."""
    with tempfile.TemporaryDirectory() as scratch:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # it warns that what it optimises for this CPU fits no other
        options.optimized_model_filepath = str(Path(scratch) / "optimised.onnx")
        onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
        nodes = onnx.load(options.optimized_model_filepath).graph.node
    return dict(sorted(Counter(name for name in map(_fused_name, nodes) if name).items()))


def _fused_name(node: onnx.NodeProto) -> str | None:
    activation = next((a.s.decode() for a in node.attribute if a.name == "activation"), "")
    if node.op_type == "Conv" and activation:
        return f"Conv+{activation}"
    return node.op_type if node.op_type in _FUSED else None


def _name_by_module(graph: ir.Graph) -> None:
    """Nodes get the name of the torch module that they came from, in place of the exporter's notes on its sources."""
    module_of: dict[ir.Value | None, str] = {}
    for number, node in enumerate(graph):
        scopes = node.metadata_props.get("pkg.torch.onnx.name_scopes")  # from the outermost module to the operation
        made_by_rewrite = module_of.get(node.inputs[0], "") if node.inputs else ""
        module = ".".join(ast.literal_eval(scopes)[1:-1][-1:]) if scopes else made_by_rewrite
        node.name = f"{module}/{node.op_type}_{number}"
        module_of |= dict.fromkeys(node.outputs, module)
        for noted in (node, *node.outputs):
            noted.metadata_props.clear()
