package prompt

// Methods that reach inside the layers.
const (
	MethodPerLayer    = "per-layer"
	MethodPerLayerAdd = "per-layer-add"
	MethodPrefix      = "prefix"
	MethodPrefixMLP   = "prefix-mlp"
	MethodIA3         = "ia3"
)

// layerMethods are those that change what happens in the layers: the second
// part of the table of methods.
var layerMethods = []MethodInfo{
	{
		Name: MethodPerLayer, Help: "vectors that replace the first positions before every encoder layer (google-research/prompt-tuning)",
		Uses: []string{"length"}, ByModel: true, New: PerLayerReplace,
		Defaults: map[string]any{"length": 10},
	},
	{
		Name: MethodPerLayerAdd, Help: "vectors before the input, and a change of them before every encoder layer (Qin and Eisner 2021)",
		Uses: []string{"length"}, ByModel: true, New: PerLayerAdd,
		Defaults: map[string]any{"length": 10},
	},
	{
		Name: MethodPrefix, Help: "keys and values before those of every attention (Li and Liang 2021; P-tuning v2)",
		Uses: []string{"length"}, ByModel: true, New: Prefix,
		// PEFT's notebook of prefix tuning on T5.
		Defaults: map[string]any{
			"length": 20, "optimizer": "adamw", "learning_rate": 1e-2, "schedule": "linear", "weight_decay": 0.01,
			"loss": "mean", "z_loss": 0,
		},
	},
	{
		Name: MethodPrefixMLP, Help: "the same, made by an MLP while they are tuned (Li and Liang 2021)",
		Uses: []string{"length", "hidden"}, ByModel: true, Keeps: MethodPrefix, New: PrefixMLP,
		Defaults: map[string]any{
			"length": 20, "optimizer": "adamw", "learning_rate": 1e-3, "schedule": "linear", "weight_decay": 0.01,
			"loss": "mean", "z_loss": 0,
		},
	},
	{
		Name: MethodIA3, Help: "scales of keys, values and hidden activations (Liu et al. 2022)",
		ByModel: true, New: IA3,
		// configs/extended/runs/ia3_finetune.gin of google-research/prompt-tuning,
		// where the rate is of the paper, and T5X's Adafactor as it stands.
		Defaults: map[string]any{"learning_rate": 3e-3, "weight_decay": 0, "parameter_scale": true},
	},
}
