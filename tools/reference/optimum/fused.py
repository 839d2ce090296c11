"""The operators of onnxruntime's optimisers, each written in ONNX's own by its definition.

EXPANSIONS has a function an operator: of the graph, to which it may add constants, and the node, to nodes in its place.
"""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT


def initializers(graph):
    return {tensor.name: tensor for tensor in graph.initializer}


def scalar(graph, node, name, value):
    """A constant of the node's own."""
    full = f"{node.output[0]}/{name}"
    graph.initializer.append(numpy_helper.from_array(np.asarray(value, np.float32), full))
    return full


def rms_norm(graph, node):
    """x / sqrt(mean(x^2) + epsilon) * w."""
    x, weight = node.input[:2]
    epsilon = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-5)
    y = node.output[0]
    at = lambda name: f"{y}/{name}"
    return [
        helper.make_node("Mul", [x, x], [at("square")]),
        helper.make_node("ReduceSum", [at("square"), axis(graph, node)], [at("sum")], keepdims=1),
        helper.make_node("Mul", [at("sum"), share(graph, node, weight)], [at("mean")]),
        helper.make_node("Add", [at("mean"), scalar(graph, node, "epsilon", epsilon)], [at("shifted")]),
        helper.make_node("Sqrt", [at("shifted")], [at("root")]),
        helper.make_node("Div", [x, at("root")], [at("normed")]),
        helper.make_node("Mul", [at("normed"), weight], [y]),
    ]


def axis(graph, node):
    name = f"{node.output[0]}/axis"
    graph.initializer.append(numpy_helper.from_array(np.array([-1], np.int64), name))
    return name


def share(graph, node, weight):
    """1/d, by which a sum becomes a mean."""
    return scalar(graph, node, "share", 1 / initializers(graph)[weight].dims[0])


def skip_rms_norm(graph, node):
    """The norm of x + skip, which is also the fourth output."""
    x, skip, weight = node.input[:3]
    total = node.output[3] if len(node.output) > 3 and node.output[3] else f"{node.output[0]}/total"
    inner = helper.make_node("SimplifiedLayerNormalization", [total, weight], [node.output[0]])
    inner.attribute.extend(a for a in node.attribute if a.name == "epsilon")
    return [helper.make_node("Add", [x, skip], [total]), *rms_norm(graph, inner)]


def fast_gelu(graph, node):
    """x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3)))."""
    (x,) = [name for name in node.input if name]
    y = node.output[0]
    at = lambda name: f"{y}/{name}"
    constant = lambda name, value: scalar(graph, node, name, value)
    return [
        helper.make_node("Mul", [x, x], [at("square")]),
        helper.make_node("Mul", [at("square"), constant("cubic", 0.044715)], [at("scaled")]),
        helper.make_node("Add", [at("scaled"), constant("one", 1)], [at("slope")]),
        helper.make_node("Mul", [at("slope"), x], [at("polynomial")]),
        helper.make_node("Mul", [at("polynomial"), constant("root", (2 / np.pi) ** 0.5)], [at("inner")]),
        helper.make_node("Tanh", [at("inner")], [at("tanh")]),
        helper.make_node("Add", [at("tanh"), constant("unit", 1)], [at("gate")]),
        helper.make_node("Mul", [at("gate"), x], [at("gated")]),
        helper.make_node("Mul", [at("gated"), constant("half", 0.5)], [y]),
    ]


def fused_matmul(graph, node):
    """alpha * A * B, or its transpose."""
    a, b = node.input
    y = node.output[0]
    value = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    if any(value.get(name) for name in ("transA", "transBatchA", "transBatchB")):
        raise NotImplementedError(f"FusedMatMul with {value}")
    parts = []
    if value.get("transB"):  # only ever of a matrix of weights here
        parts.append(helper.make_node("Transpose", [b], [f"{y}/turned"], perm=[1, 0]))
        b = f"{y}/turned"
    scale = scalar(graph, node, "alpha", value.get("alpha", 1.0))
    parts.append(helper.make_node("MatMul", [a, b], [f"{y}/product"]))
    return [*parts, helper.make_node("Mul", [f"{y}/product", scale], [y])]


def integers(graph, node, name, values):
    full = f"{node.output[0]}/{name}"
    graph.initializer.append(numpy_helper.from_array(np.asarray(values, np.int64), full))
    return full


REACH = 512  # positions that the table of buckets goes


def buckets(both_ways, count, farthest):
    """T5's bucket of each distance from -REACH to REACH (key less query)."""
    distance = np.arange(-REACH, REACH + 1)
    base = 0
    if both_ways:
        count //= 2
        base = (distance > 0) * count
        distance = np.abs(distance)
    else:
        distance = np.maximum(-distance, 0)
    exact = count // 2
    near = np.maximum(distance, 1).astype(np.float32)
    far = exact + (np.log(near / exact) / np.log(farthest / exact) * (count - exact)).astype(np.int64)
    return base + np.where(distance < exact, distance, np.minimum(far, count - 1))


def relative_position_bias(graph, node):
    """The bias [1,h,Q,K] of the table [buckets,h], which onnxruntime's script stores transposed under these dims."""
    table, queries, keys = node.input
    value = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    stored = numpy_helper.to_array(initializers(graph)[table])
    count, heads = stored.shape
    y = node.output[0]
    at = lambda name: f"{y}/{name}"
    graph.initializer.append(numpy_helper.from_array(stored.reshape(heads, count).T.copy(), at("table")))
    number = lambda name, values: integers(graph, node, name, values)
    bucket = number("bucket", buckets(value["is_bidirectional"], count, value["max_distance"]))
    zero, one = number("zero", 0), number("one", 1)
    return [
        helper.make_node("Range", [zero, queries, one], [at("q")]),
        helper.make_node("Range", [zero, keys, one], [at("k")]),
        helper.make_node("Unsqueeze", [at("q"), number("last", [1])], [at("rows")]),
        helper.make_node("Unsqueeze", [at("k"), number("first", [0])], [at("columns")]),
        helper.make_node("Sub", [at("columns"), at("rows")], [at("distance")]),
        helper.make_node("Add", [at("distance"), number("reach", REACH)], [at("place")]),
        helper.make_node("Gather", [bucket, at("place")], [at("buckets")]),
        helper.make_node("Gather", [at("table"), at("buckets")], [at("biases")]),
        helper.make_node("Transpose", [at("biases")], [at("heads")], perm=[2, 0, 1]),
        helper.make_node("Unsqueeze", [at("heads"), number("batch", [0])], [y]),
    ]


def attention(graph, node):
    """softmax(scale * q k^T + mask + bias) v, with q, k and v by one matrix [d,3*inner]."""
    x, weight, bias, mask, past, position = node.input
    value = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    assert not bias and not past and value["scale"] == 1.0
    heads, inner = value["num_heads"], initializers(graph)[weight].dims[1] // 3
    y = node.output[0]
    at = lambda name: f"{y}/{name}"
    number = lambda name, values: integers(graph, node, name, values)
    parts = [
        helper.make_node("MatMul", [x, weight], [at("qkv")]),
        helper.make_node("Split", [at("qkv")], [at("q"), at("k"), at("v")], axis=2, num_outputs=3),
        helper.make_node("Cast", [mask], [at("kept")], to=FLOAT),
        helper.make_node("Sub", [scalar(graph, node, "one", 1), at("kept")], [at("dropped")]),
        helper.make_node("Mul", [at("dropped"), scalar(graph, node, "filter", value["mask_filter_value"])], [at("low")]),
        helper.make_node("Unsqueeze", [at("low"), number("axes", [1, 2])], [at("mask")]),
        helper.make_node("Add", [position, at("mask")], [at("bias")]),
    ]
    for name, perm in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
        shape = number(f"{name}_shape", [0, 0, heads, inner // heads])
        parts.append(helper.make_node("Reshape", [at(name), shape], [at(f"{name}_split")]))
        parts.append(helper.make_node("Transpose", [at(f"{name}_split")], [at(f"{name}_heads")], perm=perm))
    return [
        *parts,
        helper.make_node("MatMul", [at("q_heads"), at("k_heads")], [at("products")]),
        helper.make_node("Add", [at("products"), at("bias")], [at("scores")]),
        helper.make_node("Softmax", [at("scores")], [at("shares")], axis=-1),
        helper.make_node("MatMul", [at("shares"), at("v_heads")], [at("read")]),
        helper.make_node("Transpose", [at("read")], [at("merged")], perm=[0, 2, 1, 3]),
        helper.make_node("Reshape", [at("merged"), number("shape", [0, 0, inner])], [y]),
    ]


EXPANSIONS = {
    "Attention": attention,
    "RelativePositionBias": relative_position_bias,
    "FusedMatMul": fused_matmul,
    "SimplifiedLayerNormalization": rms_norm,
    "SkipSimplifiedLayerNormalization": skip_rms_norm,
    "FastGelu": fast_gelu,
}
