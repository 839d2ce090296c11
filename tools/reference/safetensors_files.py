"""Small files by Hugging Face's safetensors, which package models must write byte for byte.

    python tools/reference/safetensors_files.py models/testdata

Needs torch and safetensors.
"""

import os
import sys

import torch
from safetensors.torch import save_file

out = sys.argv[1]
f32 = torch.tensor([1, -2, 3.5, 0, 5, 6], dtype=torch.float32)
mixed = {
    "b.weight": f32.reshape(2, 3).clone(),
    "a.half": torch.tensor([1, 2], dtype=torch.float16),
    "z.brain": torch.tensor([1, 2, 3], dtype=torch.bfloat16),
    "a.weight": f32.reshape(3, 2).clone(),
    "count": torch.tensor([7], dtype=torch.int64),
    'bytes <&> é " \\': torch.tensor([1, 2, 3], dtype=torch.uint8),
}
save_file(mixed, os.path.join(out, "hf_mixed.safetensors"), metadata={"format": "pt"})
save_file({"prompt": f32.reshape(2, 3).clone()}, os.path.join(out, "hf_plain.safetensors"))
