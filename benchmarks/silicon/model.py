"""A model card goes in; a GGUF file of exactly that shape comes out: random weights, a real byte-pair tokenizer.

What a step costs depends on shapes and formats alone, so random weights are as good as trained ones. The tokenizer
has the card's number of tokens: bytes, the words of our own prompts, and made-up words `w0`, `w1`, ... for the rest, so
that each token the model picks is visible text.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np

from harness.load.prompts import FAMILIES, make_prompt
from harness.load.scenarios import Workload
from harness.providers import ModelCard

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
ROPE_BASE, NORM_EPSILON = 1e6, 1e-6  # Qwen2's; they change values, not work
SPREAD = 0.02  # standard deviation of the weights


def write_model(card: ModelCard, path: Path, seed: int = 7) -> Path:
    """Write a dense card with grouped attention as a Qwen2 in FP16; ValueError for another architecture."""
    if card.attention != "gqa" or card.experts or card.window or not card.attention_bias:
        raise ValueError(f"{card.name}: only dense models of Qwen2's form can be written")
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".part")
    writer = gguf.GGUFWriter(str(draft), "qwen2")
    _write_shape(writer, card)
    _write_tokenizer(writer, card.vocab)
    for name, tensor in tensors(card, np.random.default_rng(seed)):
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    draft.replace(path)
    return path


def tensors(card: ModelCard, random: np.random.Generator) -> Iterator[tuple[str, np.ndarray]]:
    """Name and values of every tensor: matrices in FP16, norms and biases in FP32 as GGUF keeps them."""

    def matrix(rows: int, columns: int) -> np.ndarray:
        return (random.standard_normal((rows, columns), dtype=np.float32) * SPREAD).astype(np.float16)

    def vector(length: int, value: float) -> np.ndarray:
        return np.full(length, value, dtype=np.float32)

    wide, narrow = card.heads * card.head_dim, card.kv_heads * card.head_dim
    yield "token_embd.weight", matrix(card.vocab, card.hidden)
    yield "output_norm.weight", vector(card.hidden, 1)
    if not card.tied_embeddings:
        yield "output.weight", matrix(card.vocab, card.hidden)
    for layer in range(card.layers):
        for name, rows in (("attn_q", wide), ("attn_k", narrow), ("attn_v", narrow)):
            yield f"blk.{layer}.{name}.weight", matrix(rows, card.hidden)
            yield f"blk.{layer}.{name}.bias", vector(rows, 0)
        yield f"blk.{layer}.attn_output.weight", matrix(card.hidden, wide)
        yield f"blk.{layer}.attn_norm.weight", vector(card.hidden, 1)
        yield f"blk.{layer}.ffn_norm.weight", vector(card.hidden, 1)
        yield f"blk.{layer}.ffn_gate.weight", matrix(card.ffn, card.hidden)
        yield f"blk.{layer}.ffn_up.weight", matrix(card.ffn, card.hidden)
        yield f"blk.{layer}.ffn_down.weight", matrix(card.hidden, card.ffn)


def vocabulary(size: int) -> tuple[list[str], list[str]]:
    """(tokens, merges): `size` tokens in all; merges build the words of our prompts from left to right."""
    tokens = [*SPECIAL, *_byte_alphabet()]
    merges: dict[str, None] = {}
    for word in _prompt_words():
        built = word[0]
        for letter in word[1:]:
            merges.setdefault(f"{built} {letter}")
            built += letter
    tokens += dict.fromkeys(merge.replace(" ", "") for merge in merges)
    if len(tokens) > size:
        raise ValueError(f"a vocabulary of {size} has no room for {len(tokens)} tokens")
    tokens += [f"w{number}" for number in range(size - len(tokens))]
    return tokens, list(merges)


def _prompt_words() -> list[str]:
    """Words of our prompts, those behind a space with its stand-in."""
    workload = Workload(families=tuple(FAMILIES), isl_tokens=400)
    texts = [make_prompt(workload, 1, ordinal, "").messages[0]["content"] for ordinal in range(8)]
    words = [word for text in texts for word in re.findall(r" ?[a-z]+", text, re.I | re.A)]
    return [word.replace(" ", "Ġ") for word in dict.fromkeys(words)]


def _byte_alphabet() -> list[str]:
    """GPT-2's printable stand-in for each byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [*map(chr, printable), *(chr(256 + place) for place in range(len(others)))]


def _write_shape(writer: gguf.GGUFWriter, card: ModelCard) -> None:
    writer.add_name(f"{card.name}, random weights")
    writer.add_context_length(card.context or 32768)
    writer.add_embedding_length(card.hidden)
    writer.add_block_count(card.layers)
    writer.add_feed_forward_length(card.ffn)
    writer.add_head_count(card.heads)
    writer.add_head_count_kv(card.kv_heads)
    writer.add_key_length(card.head_dim)
    writer.add_value_length(card.head_dim)
    writer.add_layer_norm_rms_eps(NORM_EPSILON)
    writer.add_rope_freq_base(ROPE_BASE)
    writer.add_vocab_size(card.vocab)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)


def _write_tokenizer(writer: gguf.GGUFWriter, size: int) -> None:
    tokens, merges = vocabulary(size)
    control, normal = int(gguf.TokenType.CONTROL), int(gguf.TokenType.NORMAL)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types([control] * len(SPECIAL) + [normal] * (size - len(SPECIAL)))
    writer.add_token_merges(merges)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)
