import json
import shutil

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from cavmae.bundles.metadata import strip
from cavmae.bundles.strip import strip_bundle

from .conftest import REPOSITORY

TINY = REPOSITORY / "test/fixtures/tiny-cavmae"
GRAPHS = [*sorted((REPOSITORY / "models").glob("*/*.onnx")), *sorted(TINY.glob("*.onnx"))]
TRACE = ("pkg.torch.onnx.stack_trace", 'File "/home/someone/model.py", line 5')


@pytest.fixture
def noted_bundle(tmp_path):
    """A copy of the small bundle whose audio graph has notes in its nodes, values and in itself."""
    folder = tmp_path / "noted"
    shutil.copytree(TINY, folder)
    path = folder / "audio.onnx"
    model = onnx.load(path)
    for noted in (model, model.graph, model.graph.node[0], model.graph.input[0]):
        noted.metadata_props.add(key=TRACE[0], value=TRACE[1])
    model.graph.node[1].doc_string = TRACE[1]
    path.write_bytes(model.SerializeToString())
    return folder


@pytest.mark.parametrize("path", GRAPHS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_graph_that_ships_holds_notes_of_its_exporter(path):
    assert strip(onnx.load(path)) == 0


def test_a_stripped_bundle_answers_as_before_and_names_the_bundle_that_it_equals(noted_bundle):
    before = json.loads((noted_bundle / "bundle.json").read_text())

    stripped = strip_bundle(noted_bundle)

    after = json.loads((noted_bundle / "bundle.json").read_text())
    assert stripped == ["audio"]
    assert b"stack_trace" not in (noted_bundle / "audio.onnx").read_bytes()
    assert after["fingerprint"] != before["fingerprint"] and after["equals"] == [before["fingerprint"]]
    assert strip_bundle(noted_bundle) == []


def test_a_bundle_whose_answers_would_change_stays_as_it_was(noted_bundle, monkeypatch):
    before = (noted_bundle / "audio.onnx").read_bytes()
    monkeypatch.setattr(np, "array_equal", lambda *_, **__: False)

    with pytest.raises(ValueError, match="answer as before"):
        strip_bundle(noted_bundle)

    assert (noted_bundle / "audio.onnx").read_bytes() == before


def test_notes_in_subgraphs_and_functions_are_found():
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    inner = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "inner", [], [value])
    inner.node[0].metadata_props.add(key=TRACE[0], value=TRACE[1])
    node = helper.make_node("If", ["c"], ["z"], then_branch=inner, else_branch=inner)
    function = helper.make_function("d", "f", ["x"], ["y"], [helper.make_node("Neg", ["x"], ["y"])], [])
    function.node[0].doc_string = TRACE[1]
    model = helper.make_model(helper.make_graph([node], "outer", [], [value]), functions=[function])

    assert strip(model) == 3
    assert strip(model) == 0
