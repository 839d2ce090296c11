"""Small random T5 models in Hugging Face's layout, and PyTorch's T5 made exact enough to be a truth.

Call `write` to make a model folder and `load` to open it.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import MT5ForConditionalGeneration, T5ForConditionalGeneration, UMT5ForConditionalGeneration, logging
from transformers.models.mt5.modeling_mt5 import MT5LayerNorm
from transformers.models.t5.modeling_t5 import T5LayerNorm
from transformers.models.umt5.modeling_umt5 import UMT5LayerNorm

logging.disable_progress_bar()
logging.set_verbosity_error()

CLASSES = {
    "t5": T5ForConditionalGeneration,
    "mt5": MT5ForConditionalGeneration,
    "umt5": UMT5ForConditionalGeneration,
}

# What transformers assumes where config.json is silent (T5Config; MT5Config and UMT5Config in OTHER_DEFAULTS).
DEFAULTS = {
    "feed_forward_proj": "relu",
    "relative_attention_num_buckets": 32,
    "relative_attention_max_distance": 128,
    "layer_norm_epsilon": 1e-6,
    "tie_word_embeddings": True,
}
OTHER_DEFAULTS = {"t5": {}, "mt5": {"feed_forward_proj": "gated-gelu"}, "umt5": {"feed_forward_proj": "gated-gelu"}}

# Every config.json starts from this; the sizes keep heads * d_kv (48) away from d_model (32).
BASE = {
    "architectures": ["T5ForConditionalGeneration"],
    "model_type": "t5",
    "is_encoder_decoder": True,
    "d_model": 32,
    "d_kv": 12,
    "num_heads": 4,
    "d_ff": 40,
    "vocab_size": 96,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "decoder_start_token_id": 0,
    "dropout_rate": 0.1,
}


def scales_head(config):
    """Whether logits are multiplied by d_model^-0.5: what transformers 5 wrote, else what older files mean."""
    return config.get("scale_decoder_outputs", config.get("tie_word_embeddings", True))


def write(folder, config, seed, head):
    """Writes config.json and model.safetensors (float32); head says whether there is a matrix lm_head of its own.

    Standard deviations are chosen so that nothing is degenerate: attention logits of about 1 (as T5's own
    initialisation has them), a position bias as large as that, norms around 1, logits of about 2.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    save(random_weights(config, seed, head), folder / "model.safetensors", {"format": "pt"})


def save(tensors, path, metadata=None):
    """safetensors.save_file with the permissions of any other file."""
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata)
    path.chmod(0o644)


def random_weights(config, seed, head):
    """Named weights of a T5, drawn in a fixed order from one generator."""
    full = {**DEFAULTS, **OTHER_DEFAULTS[config["model_type"]], **config}
    generator = torch.Generator().manual_seed(seed)
    d, d_ff, vocab = full["d_model"], full["d_ff"], full["vocab_size"]
    inner = full["num_heads"] * full["d_kv"]
    weights = {}

    def draw(name, *shape, std, mean=0.0):
        weights[name] = mean + std * torch.randn(*shape, generator=generator)

    def norm(name):
        draw(name, d, std=0.2, mean=1.0)

    def attention(prefix):
        draw(prefix + "q.weight", inner, d, std=(d * full["d_kv"]) ** -0.5)
        draw(prefix + "k.weight", inner, d, std=d**-0.5)
        draw(prefix + "v.weight", inner, d, std=d**-0.5)
        draw(prefix + "o.weight", d, inner, std=inner**-0.5)

    def feed_forward(prefix):
        gated = full["feed_forward_proj"].startswith("gated-")
        for name in ("wi_0", "wi_1") if gated else ("wi",):
            draw(f"{prefix}{name}.weight", d_ff, d, std=d**-0.5)
        draw(prefix + "wo.weight", d, d_ff, std=d_ff**-0.5)

    def stack(name, layers, sublayers):
        for i in range(layers):
            for j, kind in enumerate(sublayers):
                prefix = f"{name}.block.{i}.layer.{j}."
                norm(prefix + "layer_norm.weight")
                build = feed_forward if kind == "DenseReluDense" else attention
                build(f"{prefix}{kind}.")
        for i in range(layers if full["model_type"] == "umt5" else 1):
            table = f"{name}.block.{i}.layer.0.SelfAttention.relative_attention_bias.weight"
            draw(table, full["relative_attention_num_buckets"], full["num_heads"], std=1.0)
        norm(f"{name}.final_layer_norm.weight")

    draw("shared.weight", vocab, d, std=2.0)
    if head:
        draw("lm_head.weight", vocab, d, std=2.0 * d**-0.5)
    stack("encoder", full["num_layers"], ("SelfAttention", "DenseReluDense"))
    decoder_layers = full.get("num_decoder_layers") or full["num_layers"]
    stack("decoder", decoder_layers, ("SelfAttention", "EncDecAttention", "DenseReluDense"))
    return weights


def load(folder, dtype=torch.float32):
    """Opens a model folder for evaluation and checks that transformers read it as the files mean it.

    transformers 5 decides by itself which matrices are tied and whether the head is scaled, and has shipped both
    wrong (its pull requests 41541 and 43681), so that golden numbers must not trust it.
    """
    config = json.loads((Path(folder) / "config.json").read_text())
    kind = CLASSES[config["model_type"]]
    model = kind.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32)
    saved = load_file(Path(folder) / "model.safetensors")
    for name, weight in model.named_parameters():
        if name not in saved and name != "lm_head.weight":
            raise AssertionError(f"{folder}: {name} is not in the file")
        if name in saved and not torch.equal(weight, saved[name].to(weight.dtype)):
            raise AssertionError(f"{folder}: {name} was not loaded as saved")
    head = saved.get("lm_head.weight", saved["shared.weight"])
    if not torch.equal(model.lm_head.weight, head.to(torch.float32)):
        raise AssertionError(f"{folder}: lm_head was not loaded as saved")
    if kind is T5ForConditionalGeneration and model.config.scale_decoder_outputs != scales_head(config):
        raise AssertionError(f"{folder}: scale_decoder_outputs is {model.config.scale_decoder_outputs}")
    if dtype == torch.float64:
        T5LayerNorm.forward = MT5LayerNorm.forward = UMT5LayerNorm.forward = _norm_in_own_type
    return model.to(dtype).eval()


def _norm_in_own_type(self, x):
    """T5LayerNorm takes its mean of squares in float32 even in a float64 model; a truth must not."""
    return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon))
