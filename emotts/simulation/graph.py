"""Cut an ONNX graph in memory, so that tensors inside it can be read and replaced."""

from __future__ import annotations

from typing import Any


def load_stage(model: Any, inputs: list[str], outputs: list[str], threads: int = 1) -> Any:
    """Load the part of a model that computes `outputs` from `inputs`.

    Args:
        model: An `onnx.ModelProto`.
        inputs: Names of inner float tensors that become inputs. The model's own inputs stay where they are needed.
        outputs: Names of the float tensors to return.
        threads: Threads of the session.

    Returns:
        An `onnxruntime.InferenceSession`.

    Raises:
        ValueError: If a tensor is not in the graph.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    stage = _cut(model, inputs, outputs).SerializeToString()
    return onnxruntime.InferenceSession(stage, options, providers=["CPUExecutionProvider"])


def _cut(model: Any, inputs: list[str], outputs: list[str]) -> Any:
    from onnx import TensorProto, helper

    graph = model.graph
    makers = {name: i for i, node in enumerate(graph.node) for name in node.output if name}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    given = {value.name: value for value in graph.input}
    node_ids: set[int] = set()
    names: set[str] = set()
    pending = list(outputs)
    while pending:
        name = pending.pop()
        if not name or name in names:
            continue
        names.add(name)
        if name in inputs or name in constants or name in given:
            continue
        if name not in makers:
            raise ValueError(f"tensor {name!r} is not in the ONNX graph; the package has another version of the model")
        node_ids.add(makers[name])
        pending.extend(graph.node[makers[name]].input)
    own_inputs = [value for name, value in given.items() if name in names]
    new_inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in inputs]
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    kept = [constants[name] for name in constants if name in names]
    part = helper.make_graph(
        [graph.node[i] for i in sorted(node_ids)], "stage", own_inputs + new_inputs, results, initializer=kept
    )
    return helper.make_model(part, opset_imports=model.opset_import, ir_version=model.ir_version)
