"""How a checkpoint becomes ONNX graphs: an exporter, then what others do to its graphs.

Each step works on a folder of graphs. The first, `export`, says in which order they come.
"""

import os

import onnx
import torch
import transformers

import by_torch

# The environment that this runs in.
ERA = {"4.33": "2023", "4.57": "2025", "5.23": "2026"}[transformers.__version__.rpartition(".")[0]]

# Transformers.js's names of precisions.
SUFFIX = {"fp32": "", "fp16": "_fp16", "int8": "_quantized", "uint8": "_uint8"}


def export(fixture, checkpoint, out):
    """Writes the fixture's graphs into the folder out: float32 under the plain names, others with Transformers.js's suffix."""
    if fixture.exporter == "optimum":
        with external_data(fixture.external):
            export_optimum(fixture, checkpoint, out)
    else:
        by_torch.export(checkpoint, out, fixture.opset, fixture.exporter == "dynamo")
    if fixture.hub:
        slim(out)
        tokenizer(out)
    if fixture.optimize:
        optimise(out, fixture.optimize)
    if fixture.precision in PRECISIONS:
        for path in sorted(out.glob("*.onnx")):
            PRECISIONS[fixture.precision](path, out / f"{path.stem}{SUFFIX[fixture.precision]}.onnx")


class external_data:
    """Optimum writes weights beside the graph only above 2 GiB, or when told so by this variable."""

    def __init__(self, wanted):
        self.wanted = wanted

    def __enter__(self):
        if self.wanted:
            os.environ["FORCE_ONNX_EXTERNAL_DATA"] = "1"

    def __exit__(self, *_):
        os.environ.pop("FORCE_ONNX_EXTERNAL_DATA", None)


def export_optimum(fixture, checkpoint, out):
    from optimum.exporters.onnx import main_export

    task = "text2text-generation" + ("" if fixture.kind == "plain" else "-with-past")
    prepare()
    options = {"do_validation": True}
    if fixture.precision == "fp16-traced":
        options = {"dtype": "fp16", "do_validation": False}
    main_export(str(checkpoint), output=str(out), task=task, opset=fixture.opset, **options)


def minimum(g, a, b, _=None):
    """Opset 11 has no Min of integers, but torch writes one for T5's buckets and onnxruntime refuses the graph."""
    return g.op("Where", g.op("Less", a, b), a, b)


def prepare():
    """What Optimum must be told first.

    That of 2023 refuses T5 below opset 13, for Min (see minimum). Today's does not know UMT5: it is exported as T5 is, by the way Optimum
    documents for adding a model.
    """
    from optimum.exporters.onnx.model_configs import T5OnnxConfig
    from optimum.exporters.tasks import TasksManager

    if ERA == "2023":
        T5OnnxConfig.DEFAULT_ONNX_OPSET = 11
        torch.onnx.register_custom_op_symbolic("aten::min", minimum, 11)
        return
    tasks = ("text2text-generation", "text2text-generation-with-past")
    TasksManager.create_register("onnx", overwrite_existing=True)("umt5", *tasks)(T5OnnxConfig)


def slim(out):
    """As Transformers.js's convert.py does with every graph: folded and simplified by onnxslim."""
    import onnxslim

    for path in sorted(out.glob("*.onnx")):
        onnx.save(onnxslim.slim(str(path)), str(path))


def tokenizer(out):
    """A tokenizer.json of the checkpoint's 96 ids, so that the folder is a whole repository."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    words = ["▁", *(chr(c) for c in range(ord("a"), ord("z") + 1)), "▁good", "▁bad", "▁the", "▁a", "▁is", "▁film", "er", "ing"]
    pieces = ["<pad>", "</s>", "<unk>", *words]
    sentinels = [f"<extra_id_{i}>" for i in reversed(range(96 - len(pieces)))]
    scores = [0.0, 0.0, 0.0] + [-2.0 - 0.1 * i for i in range(len(words))] + [0.0] * len(sentinels)
    t = Tokenizer(models.Unigram(list(zip([*pieces, *sentinels], scores)), unk_id=2, byte_fallback=False))
    t.normalizer = normalizers.Lowercase()
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    t.decoder = decoders.Metaspace()
    t.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
    t.add_special_tokens(["<pad>", "</s>", "<unk>", *sentinels])
    t.save(str(out / "tokenizer.json"))


def optimise(out, by):
    """Fuses operators: Optimum's levels O1 to O3, a session's own levels, or onnxruntime's script for T5."""
    for name in ("encoder_model", "decoder_model"):
        path, done = out / f"{name}.onnx", out / f"{name}_optimized.onnx"
        if by in ("basic", "extended", "all"):
            optimise_by_session(path, done, by)
        elif by == "t5":
            from onnxruntime.transformers.optimizer import optimize_model

            config = transformers.AutoConfig.from_pretrained(out)
            options = {"num_heads": config.num_heads, "hidden_size": config.num_heads * config.d_kv, "opt_level": 0}
            optimize_model(str(path), "t5", **options).save_model_to_file(str(done))
        else:
            from optimum.onnxruntime import AutoOptimizationConfig, ORTOptimizer

            optimizer = ORTOptimizer([path], transformers.AutoConfig.from_pretrained(out))
            optimizer.optimize(AutoOptimizationConfig.with_optimization_level(by), out, file_suffix="optimized")
        done.replace(path)


def optimise_by_session(path, done, level):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, f"ORT_ENABLE_{level.upper()}")
    options.optimized_model_filepath = str(done)
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def half_precision(source, target):
    """As Transformers.js: float32 inputs and outputs, constants clamped to 1e-7 and 1e4, Range converted too.

    Its converter is one of its own; this is onnxruntime's, by the same settings. Neither onnxruntime's nor
    onnxconverter-common's converts If right, so that a merged decoder is made from its two halves.
    """
    import onnxslim
    from onnxruntime.transformers import float16
    from optimum.onnx import merge_decoders

    if source.stem == "decoder_model_merged":
        halves = [source.with_name(f"{name}_fp16.onnx") for name in ("decoder_model", "decoder_with_past_model")]
        for half in halves:
            half_precision(half.with_name(half.name.replace("_fp16", "")), half)
        merge_decoders(*halves, save_path=target, strict=False)
        return
    blocked = set(float16.DEFAULT_OP_BLOCK_LIST) - {"Range"}
    clamps = {"min_positive_val": 1e-7, "max_finite_val": 1e4}
    model = float16.convert_float_to_float16(onnx.load(source), keep_io_types=True, op_block_list=blocked, **clamps)
    onnx.save(onnxslim.slim(model), target)


def integer(weight_type):
    """As Transformers.js: dynamic quantisation of every operator that has an integer form, per channel, in 7 bits."""

    def quantise(source, target):
        from onnxruntime.quantization import QuantizationMode, QuantType
        from onnxruntime.quantization.onnx_quantizer import ONNXQuantizer
        from onnxruntime.quantization.registry import IntegerOpsRegistry

        quantizer = ONNXQuantizer(
            onnx.load(source),
            per_channel=True,
            reduce_range=True,
            mode=QuantizationMode.IntegerOps,
            static=False,
            weight_qType=getattr(QuantType, weight_type),
            activation_qType=QuantType.QUInt8,
            tensors_range=None,
            nodes_to_quantize=[],
            nodes_to_exclude=[],
            op_types_to_quantize=set(IntegerOpsRegistry),
            extra_options={"EnableSubgraph": True, "MatMulConstBOnly": True},
        )
        quantizer.quantize_model()
        onnx.save(quantizer.model.model, target)

    return quantise


PRECISIONS = {"fp16": half_precision, "int8": integer("QInt8"), "uint8": integer("QUInt8")}
