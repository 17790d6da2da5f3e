"""A tiny random llama model as a GGUF file: real architecture, real tokenizer, no meaning. Same seed, same bytes."""

from pathlib import Path

import gguf
import numpy as np

HIDDEN, LAYERS, HEADS, FFN, CONTEXT = 128, 2, 4, 256, 8192
SPECIAL = ["<|bos|>", "<|eos|>", "<|im_start|>", "<|im_end|>"]
#: merges give multi-byte tokens, so that tokens, bytes and deltas differ as they do in real models
MERGES = ["e r", "i n", "t h", "th e", "o n", "a n", "a t", "in g", "e s", "Ġ the", "Ġ a", "o r", "Ġ s", "e n"]
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_tiny_model(path: Path, seed: int = 7, template: str = TEMPLATE) -> Path:
    """Write the model (about 1 MB) and return its path."""
    vocabulary, kinds = _vocabulary()
    writer = gguf.GGUFWriter(str(path), "llama")
    _write_shape(writer, len(vocabulary))
    _write_tokenizer(writer, vocabulary, kinds)
    writer.add_chat_template(template)
    _write_weights(writer, len(vocabulary), np.random.default_rng(seed))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _vocabulary() -> tuple[list[str], list[int]]:
    byte_tokens = list(_byte_alphabet().values())
    merged = [merge.replace(" ", "") for merge in MERGES]
    normal, control = int(gguf.TokenType.NORMAL), int(gguf.TokenType.CONTROL)
    kinds = [control] * len(SPECIAL) + [normal] * (len(byte_tokens) + len(merged))
    return SPECIAL + byte_tokens + merged, kinds


def _byte_alphabet() -> dict[int, str]:
    """GPT-2's printable stand-in for each byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    alphabet = {byte: chr(byte) for byte in printable}
    for byte in range(256):
        if byte not in alphabet:
            alphabet[byte] = chr(256 + len(alphabet) - len(printable))
    return dict(sorted(alphabet.items()))


def _write_shape(writer: gguf.GGUFWriter, vocabulary: int) -> None:
    writer.add_name("tiny-random")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_vocab_size(vocabulary)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)


def _write_tokenizer(writer: gguf.GGUFWriter, vocabulary: list[str], kinds: list[int]) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(vocabulary)
    writer.add_token_types(kinds)
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(3)
    writer.add_add_bos_token(False)


def _write_weights(writer: gguf.GGUFWriter, vocabulary: int, random: np.random.Generator) -> None:
    def matrix(rows: int, columns: int) -> np.ndarray:
        return (random.standard_normal((rows, columns)) * 0.2).astype(np.float16)

    ones = np.ones(HIDDEN, dtype=np.float32)
    writer.add_tensor("token_embd.weight", matrix(vocabulary, HIDDEN))
    writer.add_tensor("output_norm.weight", ones)
    writer.add_tensor("output.weight", matrix(vocabulary, HIDDEN))
    for layer in range(LAYERS):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", matrix(HIDDEN, HIDDEN))
        writer.add_tensor(f"blk.{layer}.attn_norm.weight", ones)
        writer.add_tensor(f"blk.{layer}.ffn_norm.weight", ones)
        writer.add_tensor(f"blk.{layer}.ffn_gate.weight", matrix(FFN, HIDDEN))
        writer.add_tensor(f"blk.{layer}.ffn_up.weight", matrix(FFN, HIDDEN))
        writer.add_tensor(f"blk.{layer}.ffn_down.weight", matrix(HIDDEN, FFN))
