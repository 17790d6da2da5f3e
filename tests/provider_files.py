"""A providers.yaml made for one test, and what is wrong with it."""

from pathlib import Path

import pytest

from harness.config import (
    load_providers,
)
from harness.errors import InputError

REPOSITORY = Path(__file__).parents[1]
SHIPPED = REPOSITORY / "providers.yaml"


def write(folder: Path, text: str, name: str = "providers.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def mistakes_of(folder: Path, text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        load_providers(write(folder, text))
    return [str(mistake) for mistake in caught.value.mistakes]


def entry(fields: str) -> str:
    """One entry `e`, its fields one a line."""
    return "endpoints:\n  e:\n" + "".join(f"    {line}\n" for line in fields.splitlines())


LOCAL = "base_url: http://127.0.0.1:8000/v1\nmodel: m\n"
GPU = "deployment: {accelerator: h100-sxm, count: 1, model: llama-3.1-8b, precision: bf16%s}"
