"""Makes exported graphs differentiable for a tool that knows only the standard operators of ONNX.

This is a second, independent way of what package exported does in Go, kept as plain as it can be: nothing is folded and
token ids stay an input, of which only the shape is used. Each step says in a few words what it did. fused.py has the
operators that are not ONNX's own.
"""

import numpy as np
import onnx
import onnx.version_converter
from onnx import TensorProto, helper, numpy_helper

from fused import EXPANSIONS, initializers

FLOAT, FLOAT16 = TensorProto.FLOAT, TensorProto.FLOAT16


def prepare(path, output):
    """The graph at path with one output, what was done to it, and an encoder's table [V,d], whose lookups become an input."""
    model = onnx.load(path)
    steps = []
    for step in (take_branch, raise_opset, widen, dequantise, expand):
        done = step(model)
        if done:
            steps.append(done)
    for value in [v for v in model.graph.output if v.name != output]:
        model.graph.output.remove(value)
    table = cut_embedding(model.graph) if output == "last_hidden_state" else None
    prune(model.graph)
    return model, steps, table


def take_branch(model):
    """A merged decoder: the branch without past, in place of If."""
    graph = model.graph
    choice = next((node for node in graph.node if node.op_type == "If"), None)
    if choice is None:
        return None
    branch = next(a.g for a in choice.attribute if a.name == "else_branch")
    rename = {inner.name: outer for inner, outer in zip(branch.output, choice.output)}
    place = list(graph.node).index(choice)
    before, after = list(graph.node)[:place], list(graph.node)[place + 1 :]
    inner = list(branch.node)
    for node in inner:
        node.input[:] = [rename.get(name, name) for name in node.input]
        node.output[:] = [rename.get(name, name) for name in node.output]
    graph.initializer.extend(branch.initializer)
    del graph.node[:]
    graph.node.extend(before + inner + after)
    return "took the branch without past"


def raise_opset(model):
    """onnx-ad cannot sum over axes known only when run before opset 13, where they became an input."""
    old = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    if old >= 13:
        return None
    model.CopyFrom(onnx.version_converter.convert_version(model, 13))
    return f"raised from opset {old} to 13"


def widen(model):
    """float16 to float32: initializers, constants, casts and declared types."""
    graph, found = model.graph, False
    declared = [*graph.input, *graph.output, *graph.value_info]
    tensors = list(graph.initializer)
    for node in graph.node:
        tensors += [a.t for a in node.attribute if a.type == onnx.AttributeProto.TENSOR]
        for a in node.attribute:
            if node.op_type == "Cast" and a.name == "to" and a.i == FLOAT16:
                a.i, found = FLOAT, True
    for tensor in tensors:
        if tensor.data_type == FLOAT16:
            wide = numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name)
            tensor.CopyFrom(wide)
            found = True
    for value in declared:
        if value.type.tensor_type.elem_type == FLOAT16:
            value.type.tensor_type.elem_type = FLOAT
    return "widened float16" if found else None


def dequantise(model):
    """Cast(MatMulInteger(DynamicQuantizeLinear(x), W)) * (scale of x * scale of W) to MatMul(x, W): straight through."""
    graph = model.graph
    weights = initializers(graph)
    maker = {name: node for node in graph.node for name in node.output}
    users = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    done = {}
    for product in [node for node in graph.node if node.op_type == "MatMulInteger"]:
        (cast,) = users[product.output[0]]
        (scaled,) = users[cast.output[0]]
        scales = maker[next(name for name in scaled.input if name != cast.output[0])]
        (scale,) = [name for name in scales.input if name in weights]
        quantised = numpy_helper.to_array(weights[product.input[1]]).astype(np.float32)
        zero = numpy_helper.to_array(weights[product.input[3]]).astype(np.float32)
        weight = (quantised - zero) * numpy_helper.to_array(weights[scale])
        name = product.input[1] + "_dequantised"
        graph.initializer.append(numpy_helper.from_array(weight, name))
        source = maker[product.input[0]].input[0]
        done[scaled.output[0]] = helper.make_node("MatMul", [source, name], [scaled.output[0]], scaled.name)
    nodes = [done.get(node.output[0], node) for node in graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return "dequantised the weights" if done else None


def expand(model):
    """The fused operators of onnxruntime's optimisers, by their definitions."""
    graph, nodes, done = model.graph, [], set()
    for node in graph.node:
        parts = EXPANSIONS.get(node.op_type)
        nodes += parts(graph, node) if parts else [node]
        if parts:
            done.add(node.op_type)
    del graph.node[:]
    graph.node.extend(nodes)
    return "expanded " + ", ".join(sorted(done)) if done else None


def cut_embedding(graph):
    """Makes what is looked up for input_ids an input, inputs_embeds [B,L,d], and returns the table in float32."""
    weights = initializers(graph)
    maker = {name: node for node in graph.node for name in node.output}

    def from_ids(name):
        while name in maker and maker[name].op_type in ("Reshape", "Cast", "Identity"):
            name = maker[name].input[0]
        return name == "input_ids"

    (lookup,) = [n for n in graph.node if n.op_type == "Gather" and n.input[0] in weights and from_ids(n.input[1])]
    read = lambda name: numpy_helper.to_array(weights[name]).astype(np.float32)
    table, found = read(lookup.input[0]), lookup.output[0]
    for node in graph.node:  # a quantised table is dequantised after the lookup
        if node.op_type == "DequantizeLinear" and node.input[0] == found:
            table, found = (table - read(node.input[2])) * read(node.input[1]), node.output[0]
    for node in graph.node:
        node.input[:] = ["inputs_embeds" if name == found else name for name in node.input]
    graph.input.append(helper.make_tensor_value_info("inputs_embeds", FLOAT, ["batch_size", "length", table.shape[1]]))
    return table


def prune(graph):
    """Drops nodes, initializers and inputs that no output needs; token ids stay."""
    wanted, kept = {value.name for value in graph.output}, []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(node.input)
            for attribute in node.attribute:
                if attribute.type == onnx.AttributeProto.GRAPH:
                    wanted.update(name for inner in attribute.g.node for name in inner.input)
    kept.reverse()
    tensors = [tensor for tensor in graph.initializer if tensor.name in wanted]
    inputs = [value for value in graph.input if value.name in wanted]
    for field, values in ((graph.node, kept), (graph.initializer, tensors), (graph.input, inputs)):
        del field[:]
        field.extend(values)
    del graph.value_info[:]


def declare_ranks(model, run):
    """Writes down the rank of every value that a run gives; run(model, names) answers for a copy with more outputs."""
    graph, probe = model.graph, onnx.ModelProto()
    probe.CopyFrom(model)
    names = [name for node in graph.node for name in node.output if name]
    del probe.graph.output[:]
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    for name, value in zip(names, run(probe, names)):
        value = np.asarray(value)
        kind = helper.np_dtype_to_tensor_dtype(value.dtype)
        graph.value_info.append(helper.make_tensor_value_info(name, kind, [None] * value.ndim))
