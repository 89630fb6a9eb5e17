"""Smaller numbers in a bundle's graphs, taken only where the graphs still answer as in float32.

fp16: weights stored in half, computed in float32. int8: weights and activations of the transformer blocks, scales
found as they run. The front end is float32 always (SPEC 13), and so are convolutional stems, which lose too much
(docs/decisions/008-precision.md). What goes in and comes out is float32 in every precision.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from .answers import Answers, Segments, answers
from .graph import FRONTEND
from .metadata import strip_file
from .parity import alike, check_contract, cosine

PRECISIONS = ("fp32", "fp16", "int8")
MIN_COSINE = 0.99  # of every embedding and every row of logits to float32's
SMALLEST = 256  # numbers; what is smaller stays float32: norms, biases, scalars
ROWS = 3  # of the batch that is compared with its rows


def reduce_precision(folder: Path, precision: str, segments: Segments) -> dict:
    """Rewrites the graphs of a folder; tells how far their answers are from float32's, or raises."""
    before = answers(folder, segments)
    for path in sorted(folder.glob("*.onnx")):
        {"fp16": store_half, "int8": quantize_blocks}[precision](path)
    for path in sorted(folder.glob("*.onnx")):
        if path.stem != "joint":  # its inputs are not segments; what it answers is compared below
            check_contract(path, segments.feeds(path.stem.removesuffix("_tagging"), slice(ROWS)), alike)
    return {"segments": len(segments.lengths), "cosine": agreement(before, answers(folder, segments))}


def agreement(before: Answers, after: Answers) -> dict:
    """Cosines over the segments, {"audio embedding": {"mean", "least"}, ...}."""
    found = {}
    for name, outputs in before.items():
        for output, expected in outputs.items():
            values = cosine(after[name][output], expected)
            found[f"{name} {output}"] = {"mean": round(float(values.mean()), 5), "least": round(float(values.min()), 5)}
    short = {what: value["least"] for what, value in found.items() if not value["least"] >= MIN_COSINE}
    if short:
        raise ValueError(
            f"Expected a cosine of {MIN_COSINE} to fp32 on each segment, got {short}; "
            "no bundle was written: take fp16 or fp32"
        )
    return found


def store_half(path: Path) -> None:
    """Weights in half, each behind a cast that onnxruntime folds when it opens the graph."""
    model = onnx.load(path)
    exempt = {name for node in model.graph.node if _of_frontend(node) for name in node.input}
    casts = []
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype == np.float32 and values.size >= SMALLEST and weight.name not in exempt:
            half = f"{weight.name}.half"
            casts.append(helper.make_node("Cast", [half], [weight.name], f"{half}/Cast", to=TensorProto.FLOAT))
            weight.CopyFrom(numpy_helper.from_array(_half(values, weight.name), half))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, path)


def _half(values: np.ndarray, name: str) -> np.ndarray:
    largest = np.abs(values).max()
    if not largest <= np.finfo(np.float16).max:
        raise ValueError(f"{name}: expected weights within ±65504, got {largest:.0f}: take fp32")
    return values.astype(np.float16)


def quantize_blocks(path: Path) -> None:
    nodes = onnx.load(path).graph.node
    blocks = [node.name for node in nodes if node.op_type == "MatMul" and ".blocks_" in node.name]
    if not blocks:
        raise ValueError(f"{path.name}: expected transformer blocks to quantise, found none: take fp16 or fp32")
    # 7 bits: CPUs without VNNI add two products in 16 bits, and would saturate.
    quantize_dynamic(
        path, path, nodes_to_quantize=blocks, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8
    )
    strip_file(path)


def _of_frontend(node: onnx.NodeProto) -> bool:
    return node.name.split("/")[0].split(".")[0] == FRONTEND
