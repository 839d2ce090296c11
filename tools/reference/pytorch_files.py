"""Small files by torch.save, which package models must read value for value.

    python tools/reference/pytorch_files.py models/testdata/pytorch

For each NAME.bin there is a NAME.safetensors with the same values, or that of
the model that NAME says. Needs torch, transformers and safetensors.
"""

import json
import os
import sys
from collections import OrderedDict

import torch
from safetensors.torch import save_file
from transformers import T5Config, T5ForConditionalGeneration

out = sys.argv[1]
os.makedirs(out, exist_ok=True)


def path(name):
    return os.path.join(out, name)


def save_both(values, name):
    """Writes the zip format and the one from before PyTorch 1.6."""
    torch.save(values, path(name + ".bin"))
    torch.save(values, path(name + "_legacy.bin"), _use_new_zipfile_serialization=False)


def twin(values, name):
    save_file({k: v.detach().clone().contiguous() for k, v in values.items()}, path(name + ".safetensors"), metadata={"format": "pt"})


# What tensors may be: each type, and each way through a storage.
rows = torch.arange(12, dtype=torch.float32).reshape(3, 4) - 5.5
cube = torch.arange(24, dtype=torch.float16).reshape(2, 3, 4) / 8
views = OrderedDict(
    f32=rows,
    again=rows,
    row=rows[1],
    column=rows[:, 2],
    corner=rows[1:, 1:3],
    transposed=rows.t(),
    half=rows.half(),
    brain=rows.bfloat16(),
    cube=cube,
    turned=cube.permute(2, 0, 1),
    every_other=cube[:, ::2, 1::2],
    scalar=torch.tensor(2.5),
    empty=torch.zeros(0, 3),
    empty_turned=torch.zeros(0, 3).t(),
    one=torch.ones(1, 1, 5).transpose(0, 2)[3:4],
    parameter=torch.nn.Parameter(rows * 2),
    long=torch.tensor([1, -2, 1 << 40]),
    int=torch.tensor([3, -4], dtype=torch.int32),
    short=torch.tensor([5], dtype=torch.int16),
    char=torch.tensor([-6], dtype=torch.int8),
    byte=torch.tensor([7, 255], dtype=torch.uint8),
    bool=torch.tensor([True, False]),
    double=torch.tensor([1 / 3], dtype=torch.float64),
)
save_both(views, "views")
twin(views, "views")

# A T5 as its repositories have it: the embedding under three names or four.
torch.manual_seed(1)
config = T5Config(vocab_size=40, d_model=8, d_kv=4, d_ff=12, num_layers=1, num_heads=2, relative_attention_num_buckets=8, relative_attention_max_distance=16)
model = T5ForConditionalGeneration(config)
with torch.no_grad():
    for p in model.parameters():
        p.normal_()
weights = model.state_dict()
assert "lm_head.weight" in weights and weights["lm_head.weight"].data_ptr() == weights["shared.weight"].data_ptr()
config.architectures = ["T5ForConditionalGeneration"]
config.to_json_file(path("t5_config.json"))
save_both(weights, "t5")
twin({k: v for k, v in weights.items() if "embed_tokens" not in k and k != "lm_head.weight"}, "t5")
torch.save(OrderedDict((k, v.half()) for k, v in weights.items()), path("t5_f16.bin"))
torch.save(OrderedDict((k, v.bfloat16()) for k, v in weights.items()), path("t5_bf16.bin"))
# Conversions from TensorFlow leave matrices as transposed views.
torch.save(OrderedDict((k, v.t().contiguous().t() if v.dim() == 2 else v) for k, v in weights.items()), path("t5_transposed.bin"))

shards = [dict(list(weights.items())[:9]), dict(list(weights.items())[9:])]
index = {"metadata": {"total_size": sum(v.nbytes for v in weights.values())}, "weight_map": {}}
for i, shard in enumerate(shards, 1):
    name = f"pytorch_model-0000{i}-of-00002.bin"
    torch.save(shard, path(name))
    index["weight_map"].update({k: name for k in shard})
with open(path("pytorch_model.bin.index.json"), "w") as f:
    json.dump(index, f, indent=1, sort_keys=True)
    f.write("\n")

# What is no state dict.
small = OrderedDict(weight=torch.ones(2))
torch.save({"epoch": 3, "state_dict": small}, path("no_training.bin"))
torch.save(torch.nn.Linear(2, 2), path("no_module.bin"))
torch.save(torch.ones(2), path("no_tensor.bin"))
torch.save({"epoch": 3}, path("no_weights.bin"))
torch.save(OrderedDict(weight=torch.ones(2).to_sparse()), path("no_sparse.bin"))
torch.jit.save(torch.jit.script(torch.nn.ReLU()), path("no_script.bin"))
