"""Golden numbers for the methods: DePT, ADePT, P-tuning, multitask prompts, per-layer prompts, prefix tuning, IA3, model tuning.

    python tools/reference/methods.py

A T5 is written out here in plain PyTorch with a hook wherever a method changes it, and checked against transformers
without a method, against PEFT's IA3, P-tuning and multitask prompts, and against PEFT's prefix tuning where its
convention is the same. Every row of a batch is computed alone, without any padding of text, target or prompt, in float64. Models are those of
export/testdata/golden; the numbers go to export/testdata/golden-methods/<method>/<model>-<batch>.safetensors, where
README.md describes every tensor.
"""

import copy
import json
import warnings
from pathlib import Path

import torch
import torch.nn.functional as F
from peft import IA3Config, PrefixTuningConfig, TaskType, get_peft_model
from safetensors.torch import load_file
from transformers.activations import ACT2FN
from transformers.models.t5.modeling_t5 import T5Attention

import t5_graph
import t5_model

GOLDEN = Path(__file__).resolve().parents[2] / "export" / "testdata" / "golden"
OUT = GOLDEN.parent / "golden-methods"
MODELS = ("v1_0-2x2", "v1_1-3x1")
BATCHES = ("lengths", "dropout")
GREEDY_STEPS = 8
HIDDEN = 7  # of prefix tuning's and P-tuning's MLP
RANK, ROWS = 3, 20  # of DePT and ADePT: r, and the positions that DePT has an offset for
KINDS = ("encoder.self-attention", "decoder.self-attention", "decoder.cross-attention")  # of attention: an MLP each


class T5:
    """A T5 of a model folder as plain functions over named weights; method says what is done to it, drop what is dropped."""

    def __init__(self, folder, dtype=torch.float64, weights=None):
        full = json.loads((folder / "config.json").read_text())
        self.c = {**t5_model.DEFAULTS, **full}
        self.c["num_decoder_layers"] = full.get("num_decoder_layers", full["num_layers"])
        self.w = {name: w.to(dtype) for name, w in (weights or load_file(folder / "model.safetensors")).items()}
        self.act = ACT2FN[{"gated-gelu": "gelu_new"}.get(self.c["feed_forward_proj"], self.c["feed_forward_proj"])]
        self.scaled = t5_model.scales_head(full)

    def linear(self, x, name):
        return x @ self.w[name + ".weight"].T

    def norm(self, x, name):
        return self.w[name + ".weight"] * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.c["layer_norm_epsilon"])

    def positions(self, stack, length):
        """Bias [h,Q,L] of a stack whose queries and keys are at 0 ... length-1."""
        at = torch.arange(length)
        buckets = T5Attention._relative_position_bucket(
            at[None, :] - at[:, None],
            bidirectional=stack == "encoder",
            num_buckets=self.c["relative_attention_num_buckets"],
            max_distance=self.c["relative_attention_max_distance"],
        )
        table = self.w[f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"]
        bias = table[buckets].permute(2, 0, 1)
        if stack == "decoder":
            bias = bias.masked_fill(at[None, :] > at[:, None], -torch.inf)
        return bias

    def attention(self, x, states, name, bias, site, method, drop):
        heads = lambda y: y.view(len(y), self.c["num_heads"], self.c["d_kv"]).transpose(0, 1)  # [h,L,d_kv]
        q = heads(self.linear(x, name + ".q"))
        k, v = heads(self.linear(states, name + ".k")), heads(self.linear(states, name + ".v"))
        k, v, bias = method.keys_values(site, k, v, bias)
        p = F.softmax(q @ k.transpose(1, 2) + bias, dim=-1)
        kind = "cross" if site.endswith("cross-attention") else site.split(".")[0]
        out = drop(f"dropout.{kind}_attention", p) @ v
        return self.linear(out.transpose(0, 1).reshape(len(x), -1), name + ".o")

    def feed_forward(self, x, name, site, method, drop):
        n = self.norm(x, name + ".layer_norm")
        name += ".DenseReluDense"
        if self.c["feed_forward_proj"].startswith("gated-"):
            h = self.act(self.linear(n, name + ".wi_0")) * self.linear(n, name + ".wi_1")
        else:
            h = self.act(self.linear(n, name + ".wi"))
        h = drop("dropout.ff", method.hidden(site, h))
        return x + drop("dropout.hidden", self.linear(h, name + ".wo"))

    def layer(self, stack, i, x, bias, method, drop, states=None):
        block, site = f"{stack}.block.{i}.layer.", f"{stack}.{i}."
        x = method.layer_input(stack, i, x)
        n = self.norm(x, block + "0.layer_norm")
        out = self.attention(n, n, block + "0.SelfAttention", bias, site + "self-attention", method, drop)
        x = x + drop("dropout.hidden", out)
        if states is not None:
            n = self.norm(x, block + "1.layer_norm")
            zero = torch.zeros(self.c["num_heads"], len(x), len(states), dtype=x.dtype)
            out = self.attention(n, states, block + "1.EncDecAttention", zero, site + "cross-attention", method, drop)
            x = x + drop("dropout.hidden", out)
        return self.feed_forward(x, block + ("1" if states is None else "2"), site + "feed-forward", method, drop)

    def encode(self, ids, method, drop):
        """States [E,d] of one text [S]."""
        x = drop("dropout.hidden", method.embeddings(self.w["shared.weight"][ids]))
        bias = self.positions("encoder", len(x))
        for i in range(self.c["num_layers"]):
            x = self.layer("encoder", i, x, bias, method, drop)
        return drop("dropout.hidden", self.norm(x, "encoder.final_layer_norm"))

    def decode(self, ids, states, method, drop):
        """Logits [T,V] after each of the ids [T]."""
        x = drop("dropout.hidden", self.w["shared.weight"][ids])
        bias = self.positions("decoder", len(x))
        for i in range(self.c["num_decoder_layers"]):
            x = self.layer("decoder", i, x, bias, method, drop, states)
        x = drop("dropout.hidden", self.norm(x, "decoder.final_layer_norm"))
        if self.scaled:
            x = x * self.c["d_model"] ** -0.5
        return x @ self.w.get("lm_head.weight", self.w["shared.weight"]).T


class Method:
    """The model as it is. Subclasses say what they tune, by shape and a starting value, and where it goes.

    t has the tensors of one prompt, those with P rows cut to its length.
    """

    lays_prompt = lays_keys = alone = False

    def __init__(self, t=None):
        self.t = t or {}

    @classmethod
    def draw(cls, model, lengths, generator):
        """Random values [K,…] of the trainables, in rows of padding too."""
        return draw(cls.tensors(model.c), lengths, generator)

    def model(self, model):
        return model

    def embeddings(self, x):
        return x

    def layer_input(self, stack, i, x):
        return x

    def keys_values(self, site, k, v, bias):
        return k, v, bias

    def hidden(self, site, h):
        return h


def attentions(c):
    sites = [f"encoder.{i}.self-attention" for i in range(c["num_layers"])]
    for i in range(c["num_decoder_layers"]):
        sites += [f"decoder.{i}.self-attention", f"decoder.{i}.cross-attention"]
    return sites


class DePT(Method):
    """Shi and Lipani 2024: the input's embeddings get A·B by position, times 8/√r; the prompt gets nothing.

    peft/tuners/prompt_tuning_lora.py and peft_model.py of the authors' code: lora_alpha is 8 and divided by the root of
    the rank, and the offset is added before the prompt is laid.
    """

    lays_prompt = True

    @staticmethod
    def tensors(c):
        d = c["d_model"]
        return {"prompt": (("P", d), 0.0, 2.0), "a": ((ROWS, RANK), 0.0, 0.5), "b": ((RANK, d), 0.0, 0.5)}

    def embeddings(self, x):
        offset = 8 / RANK**0.5 * self.t["a"][: len(x)] @ self.t["b"]
        return torch.cat([self.t["prompt"], x + offset])


class ADePT(Method):
    """Tang et al. 2025: a network moves each token's embedding (prompt_tuning_lorax.py of the authors' code)."""

    lays_prompt = True

    @staticmethod
    def tensors(c):
        d = c["d_model"]
        return {
            "prompt": (("P", d), 0.0, 2.0),
            "w1": ((d, RANK), 0.0, d**-0.5),
            "b1": ((RANK,), 0.0, 0.3),
            "w2": ((RANK, d), 0.0, 1.0),
            "b2": ((d,), 0.0, 0.3),
        }

    def embeddings(self, x):
        offset = F.relu(x @ self.t["w1"] + self.t["b1"]) @ self.t["w2"] + self.t["b2"]
        return torch.cat([self.t["prompt"], x + offset])


class Placed(Method):
    """Lester et al. 2021 with the prompt elsewhere, or seeing less: google-research/prompt-tuning, train/prompts.py
    (suffix_prompt) and extended/masks.py, where each prompt token sees itself at least and the input sees all."""

    lays_prompt = True
    before = staticmethod(lambda n: 0)  # tokens of an input of n before the prompt
    sees_input, sees_prompt = True, staticmethod(lambda key, query: True)

    @staticmethod
    def tensors(c):
        return {"prompt": (("P", c["d_model"]), 0.0, 2.0)}

    def embeddings(self, x):
        at, prompt = self.before(len(x)), self.t["prompt"]
        self.at = range(at, at + len(prompt))
        return torch.cat([x[:at], prompt, x[at:]])

    def keys_values(self, site, k, v, bias):
        if site.startswith("encoder"):
            bias = bias.clone()
            for query in self.at:
                for key in range(k.shape[1]):
                    sees = self.sees_prompt(key, query) if key in self.at else self.sees_input
                    if not sees and key != query:
                        bias[:, query, key] = -torch.inf
        return k, v, bias


class AfterFirst(Placed):
    before = staticmethod(lambda n: 1)


class Suffix(Placed):
    before = staticmethod(lambda n: n - 1)


class SuffixAfterEOS(Placed):
    before = staticmethod(lambda n: n)
    sees_input, sees_prompt = True, staticmethod(lambda key, query: False)


class Causal(Suffix):
    sees_prompt = staticmethod(lambda key, query: key <= query)


class PromptOnly(Placed):
    sees_input = False


class PromptCausal(Suffix):
    sees_input, sees_prompt = False, staticmethod(Causal.sees_prompt)


class Alone(Placed):
    sees_input, sees_prompt = False, staticmethod(SuffixAfterEOS.sees_prompt)


class PTuning(Method):
    """Liu et al. 2021 as PEFT has it (tuners/p_tuning/model.py, PromptEncoder with an MLP)."""

    lays_prompt = True

    @staticmethod
    def tensors(c):
        d, h = c["d_model"], HIDDEN
        return {
            "embedding": (("P", d), 0.0, 1.0),
            "w1": ((h, d), 0.0, 2 * d**-0.5),
            "b1": ((h,), 0.0, 0.3),
            "w2": ((h, h), 0.0, 2 * h**-0.5),
            "b2": ((h,), 0.0, 0.3),
            "w3": ((d, h), 0.0, 2 * h**-0.5),
            "b3": ((d,), 0.0, 0.3),
        }

    def embeddings(self, x):
        t = self.t
        hidden = F.relu(t["embedding"] @ t["w1"].T + t["b1"])
        hidden = F.relu(hidden @ t["w2"].T + t["b2"])
        return torch.cat([hidden @ t["w3"].T + t["b3"], x])


class Multitask(Method):
    """Wang et al. 2023 as PEFT has it (tuners/multitask_prompt_tuning/model.py): the matrix times U·V, elementwise."""

    lays_prompt = True

    @staticmethod
    def tensors(c):
        d = c["d_model"]
        return {"prompt": (("P", d), 0.0, 2.0), "u": (("P", RANK), 0.0, 1.0), "v": ((RANK, d), 0.0, 1.0)}

    def embeddings(self, x):
        return torch.cat([self.t["prompt"] * (self.t["u"] @ self.t["v"]), x])


class ModelTuning(Method):
    """Every weight is tuned; there is one model for all rows. Tied embeddings are one weight."""

    alone = True

    @classmethod
    def draw(cls, model, lengths, generator):
        noise = lambda w: w.std() * torch.randn(w.shape, generator=generator) if w.numel() > 1 else 0 * w
        return {name: (w.float() + 0.3 * noise(w.float()))[None] for name, w in model.w.items() if name in cls.read(model.c)}

    @staticmethod
    def read(c):
        """The weights that a T5 of this configuration reads."""
        names = {"shared.weight", "encoder.final_layer_norm.weight", "decoder.final_layer_norm.weight"}
        if not c["tie_word_embeddings"]:
            names.add("lm_head.weight")
        ff = ["wi_0", "wi_1", "wo"] if c["feed_forward_proj"].startswith("gated-") else ["wi", "wo"]
        for stack, layers, parts in (
            ("encoder", c["num_layers"], ["SelfAttention", "DenseReluDense"]),
            ("decoder", c["num_decoder_layers"], ["SelfAttention", "EncDecAttention", "DenseReluDense"]),
        ):
            names.add(f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight")
            for i in range(layers):
                for j, part in enumerate(parts):
                    names.add(f"{stack}.block.{i}.layer.{j}.layer_norm.weight")
                    names |= {f"{stack}.block.{i}.layer.{j}.{part}.{x}.weight" for x in (ff if part == "DenseReluDense" else "qkvo")}
        return names

    @classmethod
    def tensors(cls, c):
        return {name: ((0,), 0.0, 0.0) for name in cls.read(c)}  # shapes are the model's

    def model(self, model):
        tuned = copy.copy(model)
        tuned.w = model.w | self.t
        return tuned


class PerLayer(Method):
    """per_layer.py, replace_prompt: each layer's P first positions are overwritten before it."""

    lays_prompt = True

    @staticmethod
    def tensors(c):  # name: (shape, mean, deviation); P stands for the prompt's length
        names = ["prompt"] + [f"encoder.{i}.prompt" for i in range(1, c["num_layers"])]
        return {name: (("P", c["d_model"]), 0.0, 2.0) for name in names}

    def embeddings(self, x):
        return torch.cat([self.t["prompt"], x])

    def layer_input(self, stack, i, x):
        if stack == "decoder":
            return x
        prompt = self.t["prompt" if i == 0 else f"encoder.{i}.prompt"]
        return torch.cat([prompt, x[len(prompt) :]])


class PerLayerAdd(PerLayer):
    """per_layer.py, add_prompt: a delta is added to them."""

    @staticmethod
    def tensors(c):
        names = ["prompt"] + [f"encoder.{i}.prompt" for i in range(c["num_layers"])]
        return {name: (("P", c["d_model"]), 0.0, 2.0 if name == "prompt" else 1.0) for name in names}

    def layer_input(self, stack, i, x):
        if stack == "decoder":
            return x
        delta = self.t[f"encoder.{i}.prompt"]
        return torch.cat([x[: len(delta)] + delta, x[len(delta) :]])


class IA3(Method):
    """Liu et al. 2022: keys, values and the feed-forward's hidden activation are scaled."""

    @staticmethod
    def tensors(c):
        out = {}
        for site in attentions(c):
            for x in ("key", "value"):
                out[f"{site}.{x}"] = ((c["num_heads"], c["d_kv"]), 1.0, 0.3)
        for stack, n in (("encoder", c["num_layers"]), ("decoder", c["num_decoder_layers"])):
            out |= {f"{stack}.{i}.feed-forward.hidden": ((c["d_ff"],), 1.0, 0.3) for i in range(n)}
        return out

    def keys_values(self, site, k, v, bias):
        return k * self.t[site + ".key"][:, None], v * self.t[site + ".value"][:, None], bias

    def hidden(self, site, h):
        return h * self.t[site + ".hidden"]


class Prefix(Method):
    """Li and Liang 2021: P keys and values before those of every attention, without a position."""

    lays_keys = True

    @staticmethod
    def tensors(c):
        inner = c["num_heads"] * c["d_kv"]
        return {f"{site}.{x}": (("P", inner), 0.0, 1.0) for site in attentions(c) for x in ("key", "value")}

    def rows(self, site, x):
        return self.t[f"{site}.{x}"]

    def keys_values(self, site, k, v, bias):
        heads = lambda y: y.view(len(y), k.shape[0], k.shape[2]).transpose(0, 1)
        key, value = heads(self.rows(site, "key")), heads(self.rows(site, "value"))
        none = torch.zeros(*bias.shape[:2], key.shape[1], dtype=bias.dtype)
        return torch.cat([key, k], 1), torch.cat([value, v], 1), torch.cat([none, bias], 2)


class PrefixMLP(Prefix):
    """The same with keys and values made by an MLP: one for each kind of attention."""

    @staticmethod
    def tensors(c):
        d, inner, out = c["d_model"], c["num_heads"] * c["d_kv"], {}
        for kind in KINDS:
            out[kind + ".embedding"] = (("P", d), 0.0, 1.0)
            out[kind + ".hidden.weight"] = ((HIDDEN, d), 0.0, d**-0.5)
            out[kind + ".hidden.bias"] = ((HIDDEN,), 0.0, 0.3)
        for site in attentions(c):
            for x in ("key", "value"):
                out[f"{site}.{x}.weight"] = ((inner, HIDDEN), 0.0, 2 * HIDDEN**-0.5)
                out[f"{site}.{x}.bias"] = ((inner,), 0.0, 0.3)
        return out

    def rows(self, site, x):
        stack, _, part = site.split(".")
        t, name, kind = self.t, f"{site}.{x}", f"{stack}.{part}"
        hidden = torch.tanh(t[kind + ".embedding"] @ t[kind + ".hidden.weight"].T + t[kind + ".hidden.bias"])
        return hidden @ t[name + ".weight"].T + t[name + ".bias"]


METHODS = {"per-layer": PerLayer, "per-layer-add": PerLayerAdd, "ia3": IA3, "prefix": Prefix, "prefix-mlp": PrefixMLP}
METHODS |= {"dept": DePT, "adept": ADePT, "p-tuning": PTuning, "model": ModelTuning, "multitask": Multitask}
METHODS |= {
    "placed-after-first": AfterFirst,
    "placed-suffix": Suffix,
    "placed-suffix-after-eos-input": SuffixAfterEOS,
    "placed-suffix-causal": Causal,
    "placed-prefix-prompt": PromptOnly,
    "placed-suffix-prompt-causal": PromptCausal,
    "placed-prefix-self": Alone,
}


def keep(kind, x):
    return x


class Drop:
    """Multiplies by the batch's masks of one row, in the order of the forward pass; columns of padding are cut out."""

    def __init__(self, io, row, method, prompt, text, target):
        p = io["prompt_mask"].shape[1]
        laid = {"encoder": method.lays_prompt or method.lays_keys, "decoder": method.lays_keys}
        laid["cross"] = laid["encoder"]
        lengths = {"encoder": text, "decoder": target, "cross": text}
        self.masks = {}
        for name in (name for name in io if name.startswith("dropout.")):
            masks = io[name][:, row]
            if name.endswith("_attention"):
                kind = name.removeprefix("dropout.").removesuffix("_attention")
                first = p if laid[kind] else 0
                columns = list(range(p - prompt, p)) if laid[kind] else []
                masks = masks[..., columns + list(range(first, first + lengths[kind]))]
            self.masks[name] = iter(masks.double())

    def __call__(self, kind, x):
        return x * next(self.masks[kind])


def shift(labels):
    return torch.cat([torch.zeros(1, dtype=torch.int64), labels[:-1].clamp(min=0)])


def cut(labels):
    return labels[: int((labels >= 0).nonzero().max()) + 1]


def numbers(frozen, kind, io, trainables):
    """What a training step and scoring are about, each row alone."""
    rows, tokens, nll, out = len(io["input_ids"]), 0, [], {}
    scores, greedy = [None] * len(io["candidate_ids"]), []
    for row in range(rows):
        k = int(io["prompt_index"][row])
        n = int(io["prompt_mask"][k].sum())
        shapes = kind.tensors(frozen.c)
        own = {name: t[k][len(t[k]) - n :] if shapes[name][0][0] == "P" else t[k] for name, t in trainables.items()}
        method = kind(own)
        model = method.model(frozen)
        ids = io["input_ids"][row][: int(io["attention_mask"][row].sum())]
        labels = cut(io["labels"][row])
        drop = keep
        if "dropout.hidden" in io:
            drop = Drop(io, row, kind, n, len(ids), len(labels))
        states = model.encode(ids, method, drop)
        nll.append(losses(model.decode(shift(labels), states, method, drop), labels))
        tokens += int((labels >= 0).sum())
        if drop is not keep:
            if any(next(left, None) is not None for left in drop.masks.values()):
                raise AssertionError("dropout masks were not used")
            continue
        with torch.no_grad():
            for i in (io["candidate_row"] == row).nonzero()[:, 0].tolist():
                labels = cut(io["candidate_ids"][i])
                scores[i] = -losses(model.decode(shift(labels), states, method, keep), labels)
            said = torch.zeros(1, dtype=torch.int64)
            for _ in range(GREEDY_STEPS):
                last = model.decode(said, states, method, keep)[-1]
                top = last.topk(2).values
                if top[0] - top[1] < 1e-3:
                    raise AssertionError("greedy choice hangs on too little: take another seed")
                said = torch.cat([said, last.argmax()[None]])
            greedy.append(said[1:])
    nll = torch.stack(nll)
    loss = nll.sum() / tokens
    grads = torch.autograd.grad(loss, list(trainables.values()))
    out = {"loss.mean": loss[None], "example_nll": nll} | {f"grad.{name}": g for name, g in zip(trainables, grads)}
    if greedy:
        out |= {"candidate_logprob": torch.stack(scores), "greedy_ids": torch.stack(greedy)}
    return {name: t.detach() for name, t in out.items()}


def losses(logits, labels):
    kept = labels >= 0
    return -(logits.log_softmax(-1).gather(-1, labels.clamp(min=0)[:, None])[:, 0] * kept).sum()


def draw(tensors, lengths, generator):
    out = {}
    for name, (shape, mean, std) in tensors.items():
        sizes = [max(lengths) if n == "P" else n for n in shape]
        out[name] = mean + std * torch.randn(len(lengths), *sizes, generator=generator)
    return out


# The transcription against others' code.


def check_against_transformers(name):
    model = t5_model.load(GOLDEN / name, torch.float64)
    ours = T5(GOLDEN / name)
    ids, answer = torch.tensor([[5, 9, 33, 2, 70, 1]]), torch.tensor([[8, 40, 1]])
    with torch.no_grad():
        want = model(input_ids=ids, decoder_input_ids=answer).logits[0]
        got = ours.decode(answer[0], ours.encode(ids[0], Method(), keep), Method(), keep)
    torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-9)


def check_ia3_against_peft(name):
    """PEFT names keys, values and wo's input in one list, and its vectors are flat."""
    model = t5_model.load(GOLDEN / name, torch.float64)
    ours = T5(GOLDEN / name)
    config = IA3Config(task_type=TaskType.SEQ_2_SEQ_LM, target_modules=["k", "v", "wo"], feedforward_modules=["wo"])
    peft = get_peft_model(model, config).double().eval()
    values = {n: t[0].double() for n, t in draw(IA3.tensors(ours.c), [0], torch.Generator().manual_seed(7)).items()}
    parts = {"SelfAttention": "self-attention", "EncDecAttention": "cross-attention", "DenseReluDense": "feed-forward"}
    which, seen = {"k": "key", "v": "value", "wo": "hidden"}, 0
    for n, p in peft.named_parameters():
        if "ia3_l" in n:
            words = n.split(".")
            at = words.index("block")
            site = f"{words[at - 1]}.{words[at + 1]}.{parts[words[at + 4]]}.{which[words[at + 5]]}"
            p.data.copy_(values[site].reshape(p.shape))
            seen += 1
    if seen != len(values):
        raise AssertionError(f"PEFT has {seen} vectors, not {len(values)}")
    ids, answer = torch.tensor([[5, 9, 33, 2, 70, 1]]), torch.tensor([[8, 40, 1]])
    with torch.no_grad():
        want = peft(input_ids=ids, decoder_input_ids=answer).logits[0]
        method = IA3(values)
        got = ours.decode(answer[0], ours.encode(ids[0], method, keep), method, keep)
    torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-9)


def check_p_tuning_against_peft(name):
    """PEFT takes the network's hidden width for both layers, and puts the prompt before the text as it is."""
    from peft import PromptEncoderConfig
    from peft.tuners.p_tuning import PromptEncoder

    ours = T5(GOLDEN / name)
    d, p = ours.c["d_model"], 4
    config = PromptEncoderConfig(
        task_type=TaskType.SEQ_2_SEQ_LM, num_virtual_tokens=p, token_dim=d, num_transformer_submodules=1, encoder_hidden_size=HIDDEN
    )
    encoder = PromptEncoder(config).double()
    t = {n: x[0].double() for n, x in draw(PTuning.tensors(ours.c), [p], torch.Generator().manual_seed(7)).items()}
    layers = {"w1": "0.weight", "b1": "0.bias", "w2": "2.weight", "b2": "2.bias", "w3": "4.weight", "b3": "4.bias"}
    encoder.load_state_dict({"embedding.weight": t["embedding"]} | {"mlp_head." + layers[n]: t[n] for n in layers})
    with torch.no_grad():
        want = encoder(torch.arange(p)[None])[0]
        got = PTuning(t).embeddings(torch.zeros(0, d, dtype=torch.float64))
    torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-9)


def check_multitask_against_peft(name):
    """PEFT keeps U and V of all tasks side by side, and task_ids picks a row's."""
    from peft import MultitaskPromptTuningConfig
    from peft.tuners.multitask_prompt_tuning import MultitaskPromptEmbedding

    ours = T5(GOLDEN / name)
    d, p = ours.c["d_model"], 4
    config = MultitaskPromptTuningConfig(
        task_type=TaskType.SEQ_2_SEQ_LM, num_virtual_tokens=p, token_dim=d, num_transformer_submodules=1,
        num_tasks=2, num_ranks=RANK, prompt_tuning_init="RANDOM",
    )
    encoder = MultitaskPromptEmbedding(config, torch.nn.Embedding(9, d)).double()
    t = {n: x.double() for n, x in draw(Multitask.tensors(ours.c), [p, p], torch.Generator().manual_seed(7)).items()}
    encoder.load_state_dict({"embedding.weight": t["prompt"][0], "prefix_task_cols": t["u"], "prefix_task_rows": t["v"]})
    with torch.no_grad():
        want = encoder(torch.arange(p)[None], torch.tensor([1]))[0]
        own = {"prompt": t["prompt"][0], "u": t["u"][1], "v": t["v"][1]}
        got = Multitask(own).embeddings(torch.zeros(0, d, dtype=torch.float64))
    torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-9)


def check_prefix_against_peft(name, mlp):
    """PEFT's prefix of the decoder's self-attention equals ours where the decoder's position table is 0.

    PEFT has no prefix elsewhere: there ours is taken out. Its one matrix [P,2·L·inner] holds a key and a value of each
    layer in turn, [4i] and [4i+1] modulo 2L, since it is doubled for two stacks and cut into four a layer.
    """
    weights = load_file(GOLDEN / name / "model.safetensors")
    table = "decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
    weights[table] = torch.zeros_like(weights[table])
    model = t5_model.load(GOLDEN / name, torch.float64)
    model.decoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight.data.zero_()
    ours = T5(GOLDEN / name, weights=weights)
    layers, inner, p = ours.c["num_decoder_layers"], ours.c["num_heads"] * ours.c["d_kv"], 3
    config = PrefixTuningConfig(
        task_type=TaskType.SEQ_2_SEQ_LM,
        num_virtual_tokens=p,
        num_layers=layers,
        token_dim=inner,
        num_attention_heads=ours.c["num_heads"],
        prefix_projection=mlp,
        encoder_hidden_size=HIDDEN,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peft = get_peft_model(model, config).double().eval()
    encoder = peft.prompt_encoder["default"]
    generator = torch.Generator().manual_seed(11)
    for q in encoder.parameters():
        q.data.copy_(torch.randn(q.shape, generator=generator))
    slots = lambda x: x.view(len(x), 2 * layers, inner)
    t = {}
    if mlp:  # what is before the last Linear is ours as it stands, what it makes is cut into layers
        t["decoder.self-attention.embedding"] = encoder.embedding.weight
        t["decoder.self-attention.hidden.weight"] = encoder.transform[0].weight
        t["decoder.self-attention.hidden.bias"] = encoder.transform[0].bias
        weight, bias = encoder.transform[2].weight.view(2 * layers, inner, HIDDEN), encoder.transform[2].bias.view(2 * layers, inner)
    for i in range(layers):
        for j, x in enumerate(("key", "value")):
            at, site = (4 * i + j) % (2 * layers), f"decoder.{i}.self-attention.{x}"
            if mlp:
                t[site + ".weight"], t[site + ".bias"] = weight[at], bias[at]
            else:
                t[site] = slots(encoder.embedding.weight)[:, at]

    class DecoderOnly(PrefixMLP if mlp else Prefix):
        def keys_values(self, site, k, v, bias):
            if site.startswith("decoder") and site.endswith("self-attention"):
                return super().keys_values(site, k, v, bias)
            return k, v, bias

    ids, answer = torch.tensor([[5, 9, 33, 2, 70, 1]]), torch.tensor([[8, 40, 1]])
    with torch.no_grad():
        want = peft(input_ids=ids, attention_mask=torch.ones_like(ids), labels=answer).logits[0]
        method = DecoderOnly(t)
        got = ours.decode(shift(answer[0]), ours.encode(ids[0], method, keep), method, keep)
    torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-9)


def main():
    torch.set_num_threads(1)
    for name in MODELS:
        check_against_transformers(name)
        check_ia3_against_peft(name)
        check_p_tuning_against_peft(name)
        check_multitask_against_peft(name)
        check_prefix_against_peft(name, mlp=False)
        check_prefix_against_peft(name, mlp=True)
    for seed, (method, kind) in enumerate(METHODS.items(), start=1):
        (OUT / method).mkdir(parents=True, exist_ok=True)
        for j, name in enumerate(MODELS):
            model = T5(GOLDEN / name)
            for batch in BATCHES:
                io = make_batch(model, kind, batch, 1000 * seed + 10 * j + len(batch))
                write(OUT / method / f"{name}-{batch}.safetensors", model, kind, io)


def make_batch(model, kind, batch, seed):
    c = model.c
    io = t5_graph.batch(c, batch, seed)
    del io["prompts"]
    if kind.alone:
        io["prompt_index"].zero_()
    generator = torch.Generator().manual_seed(seed)
    if batch == "dropout":
        p, s, t = io["prompt_mask"].shape[1], io["input_ids"].shape[1], io["labels"].shape[1]
        keys = p + s if kind.lays_prompt or kind.lays_keys else s
        io |= t5_graph.dropout_masks(c, len(io["input_ids"]), keys, p + t if kind.lays_keys else t, generator)
    io |= {f"value.{name}": t for name, t in kind.draw(model, io["prompt_mask"].sum(1).tolist(), generator).items()}
    return io


def write(path, model, kind, io):
    values = {name.removeprefix("value."): t for name, t in io.items() if name.startswith("value.")}
    trainables = {name: t.double().requires_grad_() for name, t in values.items()}
    out = numbers(model, kind, io, trainables)
    t5_model.save(t5_graph.to_disk(io) | t5_graph.to_disk(out, "want."), path)
    largest = max(out[f"grad.{name}"].abs().max().item() for name in trainables)
    smallest = min(out[f"grad.{name}"].abs().max().item() for name in trainables)
    print(f"{path.parent.name:14} {path.stem:18} loss {out['loss.mean'].item():7.3f}  gradients' largest {smallest:.1e} to {largest:.1e}")


if __name__ == "__main__":
    main()
