"""A tokenizer folder for tools that insist on one: byte-level BPE with 256 bytes and the merges of " word".

Written by hand as JSON, so it needs no library and no hub. The truth server's delta " word" is one token, every other
byte is one token; what the tools count with it does not matter, as they read the server's usage where they can.
"""

import json
from pathlib import Path

PLAIN = {*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
DELTA = "Ġword"
END = "<|end|>"
TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def write_tokenizer(folder: Path) -> Path:
    """Write tokenizer.json, tokenizer_config.json and config.json; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    pieces = [DELTA[:length] for length in range(2, len(DELTA) + 1)]
    vocabulary = [END, *_byte_letters(), *pieces]
    merges = [[piece[:-1], piece[-1]] for piece in pieces]
    bytewise = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    end = {"id": 0, "content": END, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    _dump(
        folder / "tokenizer.json",
        {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [{**end, "special": True}],
            "normalizer": None,
            "pre_tokenizer": bytewise,
            "post_processor": None,
            "decoder": bytewise,
            "model": {
                "type": "BPE",
                "dropout": None,
                "unk_token": None,
                "continuing_subword_prefix": None,
                "end_of_word_suffix": None,
                "fuse_unk": False,
                "byte_fallback": False,
                "vocab": {token: number for number, token in enumerate(vocabulary)},
                "merges": merges,
            },
        },
    )
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": END, "pad_token": END, "bos_token": END}
    _dump(folder / "tokenizer_config.json", {**config, "chat_template": TEMPLATE, "model_max_length": 1_000_000})
    _dump(
        folder / "config.json",
        {"model_type": "gpt2", "vocab_size": len(vocabulary), "bos_token_id": 0, "eos_token_id": 0},
    )
    return folder


def _byte_letters() -> list[str]:
    """The letter of each byte as byte-level BPE writes it: itself where printable, else one from U+0100 on."""
    spare = iter(range(0x100, 0x200))
    return [chr(byte) if byte in PLAIN else chr(next(spare)) for byte in range(256)]


def _dump(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False))
