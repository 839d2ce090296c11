"""Writes T5 models as PyTorch exports them, each with one batch, the loss and
PyTorch's gradients, as initializers that no node reads:

    example.NAME        what the graph input NAME takes
    want.loss           the mean cross entropy
    want.grad.NAME      its gradient in an input or a weight

Needs torch, transformers and onnx. Run it in this folder.
"""
import onnx
import torch
from onnx import numpy_helper
from transformers import T5Config, T5ForConditionalGeneration

VOCAB = 20


class Logits(torch.nn.Module):
    def __init__(self, t5):
        super().__init__()
        self.t5 = t5

    def forward(self, inputs_embeds, attention_mask, decoder_input_ids):
        return self.t5(inputs_embeds=inputs_embeds, attention_mask=attention_mask,
                       decoder_input_ids=decoder_input_ids, use_cache=False, return_dict=False)[0]


def export(feed_forward, opset):
    torch.manual_seed(0)
    config = T5Config(vocab_size=VOCAB, d_model=8, d_kv=3, d_ff=12, num_layers=1, num_heads=2, dropout_rate=0.0,
                      feed_forward_proj=feed_forward, decoder_start_token_id=0)
    t5 = T5ForConditionalGeneration(config).eval()
    t5.set_attn_implementation("eager")
    for p in t5.parameters():  # the exporter merges equal weights, such as norms of ones
        p.data += 0.1 * torch.randn_like(p)
    model = Logits(t5)
    inputs = {
        "inputs_embeds": torch.randn(2, 5, 8),
        "attention_mask": torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]),
        "decoder_input_ids": torch.tensor([[0, 3, 7], [0, 11, 2]]),
    }
    labels = torch.tensor([[3, 7, 1], [11, 2, -100]])
    name = f"{feed_forward}-opset{opset}.onnx"
    torch.onnx.export(model, tuple(inputs.values()), name, input_names=list(inputs), output_names=["logits"],
                      dynamic_axes={"inputs_embeds": {0: "B", 1: "S"}, "attention_mask": {0: "B", 1: "S"},
                                    "decoder_input_ids": {0: "B", 1: "T"}}, opset_version=opset, dynamo=False)

    inputs["inputs_embeds"].requires_grad_(True)
    loss = torch.nn.functional.cross_entropy(model(**inputs).view(-1, VOCAB), labels.view(-1))
    loss.backward()
    found = {"example." + k: v for k, v in inputs.items()}
    found |= {"example.labels": labels, "want.loss": loss, "want.grad.inputs_embeds": inputs["inputs_embeds"].grad}

    graph = onnx.load(name)
    weights = {w.name: list(w.dims) for w in graph.graph.initializer}
    for k, p in model.named_parameters():
        if "shared" in k:  # transformers 5 ties the head to it, which the exporter writes as a second weight
            continue
        if weights.get(k) == list(p.shape) and p.grad is not None:
            found["want.grad." + k] = p.grad
    for node in graph.graph.node:
        node.doc_string = ""
    del graph.graph.value_info[:]
    for k, v in found.items():
        graph.graph.initializer.append(numpy_helper.from_array(v.detach().numpy(), k))
    onnx.save(graph, name)


export("gated-gelu", opset=17)
export("relu", opset=12)
