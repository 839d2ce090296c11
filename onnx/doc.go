// Package onnx holds ONNX models as plain Go values.
//
// Call [Load] to read a model file and [Model.Save] to write one. To make a
// graph, start from [NewModel] and put nodes into it with a [Builder], which
// has one method an operator, names what it makes, infers types and shapes as
// it goes and keeps the first error until [Builder.Err] is asked for:
//
//	b := onnx.NewBuilder(onnx.NewModel("example"))
//	x := b.Input("x", onnx.Float32, onnx.Sym("B"), onnx.Size(4))
//	w := b.Weight(onnx.Floats("w", []int64{4, 2}, weights))
//	b.Output("y", b.Relu(b.MatMul(x, w)))
//	if err := b.Err(); err != nil { … }
//
// A [Model] holds a [Graph]: [Node] values in topological order that name
// their inputs and outputs, [Tensor] values for what is constant, and [Value]
// descriptions of what goes in and comes out. As in ONNX itself a name is
// assigned once, so an edge is just a string. Sizes may be symbolic: see [Dim].
// [InferShapes] works out the types and shapes of a whole graph from one table
// of rules, an operator a rule (files infer_*.go), and the builder asks the
// same table for each node. It follows the arithmetic that shapes are computed
// with, so that Reshape, Expand and Slice with symbolic operands are known.
//
// Initializers are not copied on the way in: [Load] maps files into memory, also
// those of more than 2 GiB. On the way out they are streamed, into a file of
// their own where one would not hold them ([Model.SaveExternal]).
//
// Files from outside are hostile until checked: reading never trusts a size,
// an offset or a path that the file gives, and [Validate] names the node that
// breaks a rule.
package onnx
