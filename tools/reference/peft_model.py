"""A T5 inside PEFT's own prompt tuning, with a given prompt and without dropout.

Call `wrap`, then train `prompt_of(model)`.
"""

import torch
from peft import PromptTuningConfig, get_peft_model


def wrap(model, prompt):
    """PeftModelForSeq2SeqLM over a frozen T5, its virtual tokens set to prompt [P,d].

    num_transformer_submodules is 1: PEFT's own default of 2 keeps a second, unused prompt for the decoder.
    """
    config = PromptTuningConfig(
        task_type="SEQ_2_SEQ_LM",
        num_virtual_tokens=len(prompt),
        num_transformer_submodules=1,
        prompt_tuning_init="RANDOM",
    )
    wrapped = get_peft_model(model, config)
    weight = prompt_of(wrapped)
    if weight.shape != prompt.shape or weight.dtype != torch.float32:
        raise AssertionError(f"PEFT's prompt is {tuple(weight.shape)} {weight.dtype}")
    with torch.no_grad():
        weight.copy_(prompt)
    if [name for name, p in wrapped.named_parameters() if p.requires_grad] != ["prompt_encoder.default.embedding.weight"]:
        raise AssertionError("PEFT trains something else than the prompt")
    return wrapped


def prompt_of(wrapped):
    """The trained parameter [P,d]."""
    return wrapped.prompt_encoder["default"].embedding.weight


def without_dropout(model):
    """Sets every rate to 0, so that the model may be in training mode."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        elif isinstance(getattr(module, "dropout", None), float):  # T5Attention keeps its rate as a number
            module.dropout = 0.0
    return model


def step(wrapped, optimizer, input_ids, labels, attention_mask=None):
    """One step on the mean loss over the batch's labels; returns the loss before the step.

    Without an attention mask padding is every id 0, which no T5 tokenizer gives to a text.
    """
    if attention_mask is None:
        attention_mask = (input_ids != 0).long()
    loss = wrapped(input_ids=input_ids, attention_mask=attention_mask, labels=labels).loss
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
