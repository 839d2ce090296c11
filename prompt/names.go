package prompt

// Methods that reach inside the layers.
const (
	MethodPerLayer    = "per-layer"
	MethodPerLayerAdd = "per-layer-add"
	MethodIA3         = "ia3"
	MethodPrefix      = "prefix"
	MethodPrefixMLP   = "prefix-mlp"
)
