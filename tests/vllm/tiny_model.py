"""Write a tiny random llama with a tokenizer of its own: `python tiny_model.py FOLDER`, run inside the vLLM venv."""

import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SPECIAL = ["<|bos|>", "<|eos|>", "<|im_start|>", "<|im_end|>"]
TEXT = [
    "What is six times seven? Show each step and close with the answer on a line of its own.",
    "The quick brown fox jumps over the lazy dog while seventeen sailors count their coins.",
    "A train leaves at 10:45 and arrives at 13:20; how many minutes was it under way?",
    "Every token has a price, and every price has a date and a source.",
    "def answer(question): return 42  # the reader may check this",
]
TEMPLATE = (
    "{% if reasoning_effort %}Reasoning: {{ reasoning_effort }}\n{% endif %}"
    "{% if enable_thinking is defined and not enable_thinking %}No word of thought.{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write(folder: Path) -> None:
    """config.json, weights and tokenizer; the same bytes each time."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    # ASCII only: half a character is held back by the server, and a held-back token has no delta to time.
    alphabet = [letter for letter in pre_tokenizers.ByteLevel.alphabet() if letter.isascii() or letter in "ĠĊ"]
    trainer = trainers.BpeTrainer(vocab_size=448, special_tokens=SPECIAL, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(TEXT, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=SPECIAL[0], eos_token=SPECIAL[1])
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)
    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=384, intermediate_size=1024, num_hidden_layers=6,
        num_attention_heads=6, num_key_value_heads=6, max_position_embeddings=4096, initializer_range=0.2,
        bos_token_id=0, eos_token_id=1, tie_word_embeddings=False,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    # Special tokens have no text, so a first one among them would be no delta: with logit 0 they are all but gone.
    model.lm_head.weight.data[: len(SPECIAL)] = 0
    model.save_pretrained(folder)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
