"""Imports: a result file of another load tester goes in; what it measured, as one small value, and its price come out.

A field that a file does not hold stays None: nothing is inferred that its tool did not write.
"""

from collections.abc import Callable
from pathlib import Path

from harness.price.imports.aiperf import read_aiperf
from harness.price.imports.document import Document, read_documents, refuse
from harness.price.imports.genai_bench import read_genai_bench
from harness.price.imports.guidellm import read_guidellm
from harness.price.imports.inferencex import read_inferencex
from harness.price.imports.measured import Measured
from harness.price.imports.vllm import read_vllm

__all__ = ["TOOLS", "Measured", "read_results"]

#: tool -> reader of one JSON document (or one row of a CSV file)
TOOLS: dict[str, Callable[[Document], list[Measured]]] = {
    "vllm": read_vllm,
    "guidellm": read_guidellm,
    "aiperf": read_aiperf,
    "genai-bench": read_genai_bench,
    "inferencex": read_inferencex,
}


def read_results(tool: str, path: Path) -> list[Measured]:
    """Every measurement of a file, in its order; InputError (every mistake) where it is no result of that tool."""
    documents = read_documents(path)
    found = [measured for document in documents for measured in TOOLS[tool](document)]
    refuse([mistake for document in documents for mistake in document.mistakes])
    if not any(measured.tells_anything for measured in found):
        documents[0].tell("", "none of the figures that this tool writes", f"a result file of {tool}")
        refuse(documents[0].mistakes)
    return found
