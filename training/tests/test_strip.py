import json
import shutil

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from cavmae.adapt.adapt import Adapted, AdaptOptions, feature_output
from cavmae.adapt.write import write_adapted
from cavmae.bundles.bundle import Encoder
from cavmae.bundles.export import fingerprint, graph_files, write_json
from cavmae.bundles.graph import open_graph
from cavmae.bundles.metadata import count_notes, strip
from cavmae.bundles.strip import strip_bundle
from cavmae.evaluate.metrics import Metric
from cavmae.model.heads import Residual

from .conftest import REPOSITORY

TINY = REPOSITORY / "test/fixtures/tiny-cavmae"
GRAPHS = [*sorted((REPOSITORY / "models").glob("*/*.onnx")), *sorted(TINY.glob("*.onnx"))]
TRACE = ("pkg.torch.onnx.stack_trace", 'File "/home/someone/model.py", line 5')


def add_notes(path):
    """Writes notes into nodes and values of a graph, and into the graph itself."""
    model = onnx.load(path)
    for noted in (model, model.graph, model.graph.node[0], model.graph.input[0]):
        noted.metadata_props.add(key=TRACE[0], value=TRACE[1])
    model.graph.node[1].doc_string = TRACE[1]
    path.write_bytes(model.SerializeToString())


def manifest(folder):
    return json.loads((folder / "bundle.json").read_text())


def noted_copy(folder, graphs):
    """A copy of the small bundle with notes in some of its graphs."""
    shutil.copytree(TINY, folder)
    for name in graphs:
        add_notes(folder / f"{name}.onnx")
    bundle = manifest(folder)
    bundle["graphs"] = graph_files(folder)
    write_json(folder / "bundle.json", bundle | {"fingerprint": fingerprint(bundle)})
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def noted_bundle(tmp_path):
    return noted_copy(tmp_path / "noted", ["audio", "visual"])


@pytest.mark.parametrize("path", GRAPHS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_graph_that_ships_holds_notes_of_its_exporter(path):
    assert count_notes(onnx.load(path)) == 0
    assert not [mark for mark in (b"stack_trace", b"site-packages", b'File "') if mark in path.read_bytes()]


def test_a_stripped_bundle_names_the_fingerprint_that_it_equals(noted_bundle):
    before = manifest(noted_bundle)

    stripped = strip_bundle(noted_bundle)

    after = manifest(noted_bundle)
    assert stripped == ["audio", "visual"]
    assert b"stack_trace" not in (noted_bundle / "audio.onnx").read_bytes()
    assert after["fingerprint"] == fingerprint(after) != before["fingerprint"]
    assert after["equals"] == {"fingerprint": after["fingerprint"], "earlier": [before["fingerprint"]]}
    assert after["graphs"] == graph_files(noted_bundle)
    assert strip_bundle(noted_bundle) == []


def test_a_bundle_that_is_stripped_twice_names_both_earlier_fingerprints(noted_bundle):
    first = manifest(noted_bundle)["fingerprint"]
    strip_bundle(noted_bundle)
    path, second = noted_bundle / "visual.onnx", noted_copy(noted_bundle.parent / "second", ["visual"])
    shutil.copy(second / "visual.onnx", path)
    bundle = manifest(noted_bundle) | {"graphs": graph_files(noted_bundle)}
    write_json(noted_bundle / "bundle.json", bundle | {"fingerprint": fingerprint(bundle)})

    strip_bundle(noted_bundle)

    after = manifest(noted_bundle)
    assert after["equals"]["earlier"] == [first, fingerprint(bundle)]


def test_a_bundle_keeps_its_fingerprint_if_only_graphs_that_tag_had_notes(tmp_path):
    folder = noted_copy(tmp_path / "noted", ["visual_tagging"])
    before = manifest(folder)

    assert strip_bundle(folder) == ["visual_tagging"]

    after = manifest(folder)
    assert after["fingerprint"] == before["fingerprint"] and "equals" not in after
    assert after["graphs"] == graph_files(folder)


def test_a_bundle_stays_as_it_was_if_any_graph_would_answer_otherwise(noted_bundle, monkeypatch):
    before, asked = contents(noted_bundle), []

    def equal_at_first(*_, **__):
        asked.append(True)
        return len(asked) < len(onnx.load(noted_bundle / "audio.onnx").graph.output) + 1

    monkeypatch.setattr(np, "array_equal", equal_at_first)

    with pytest.raises(ValueError, match="Expected visual to answer as before"):
        strip_bundle(noted_bundle)

    assert contents(noted_bundle) == before
    assert [path.name for path in noted_bundle.parent.iterdir()] == ["noted"]


def test_an_adapted_bundle_does_not_take_over_the_fingerprints_that_its_base_equals(noted_bundle, tmp_path):
    strip_bundle(noted_bundle)
    encoder = Encoder(noted_bundle)
    residuals = {}
    for name in ("audio", "visual"):
        source, width = feature_output(encoder, name), encoder.bundle["embedding"]
        shapes = {output.name: output.shape[-1] for output in open_graph(noted_bundle / f"{name}.onnx").get_outputs()}
        residuals[name] = Residual(torch.zeros(shapes[source]), torch.ones(shapes[source]), 4, width).eval()
    adapted = Adapted(**residuals, before=[], after=[], gain=Metric("gain", 1.0, (0.5, 1.5), "none"), learnt=0)

    bundle = write_adapted(encoder, tmp_path / "adapted", adapted, AdaptOptions())

    assert bundle["fingerprint"] == fingerprint(bundle) != encoder.bundle["fingerprint"]
    assert "equals" in encoder.bundle and "equals" not in bundle
    assert count_notes(onnx.load(tmp_path / "adapted" / "audio.onnx")) == 0


def test_notes_in_subgraphs_functions_and_tensors_are_found():
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    inner = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "inner", [], [value])
    inner.node[0].metadata_props.add(key=TRACE[0], value=TRACE[1])
    node = helper.make_node("If", ["c"], ["z"], then_branch=inner, else_branch=inner)
    function = helper.make_function("d", "f", ["x"], ["y"], [helper.make_node("Neg", ["x"], ["y"])], [])
    function.node[0].doc_string = TRACE[1]
    constant = helper.make_node("Constant", [], ["k"], value=helper.make_tensor("t", TensorProto.FLOAT, [1], [1.0]))
    constant.attribute[0].t.doc_string = TRACE[1]
    model = helper.make_model(helper.make_graph([node, constant], "outer", [], [value]), functions=[function])
    model.graph.quantization_annotation.add().quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="t")

    assert strip(model) == 4
    assert model.graph.quantization_annotation[0].quant_parameter_tensor_names[0].value == "t"
    assert strip(model) == 0
