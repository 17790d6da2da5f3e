"""Ruler: how many tokens a text of ours costs at one endpoint, learned from its own usage, without its tokenizer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruler:
    """tokens = `fixed_tokens` (chat template) + `filler_rate` x filler characters + text rate x other characters.

    `text_rates`: tokens per character of each family's problems; `text_rate` for one that was not asked.
    """

    fixed_tokens: float = 0.0
    filler_rate: float = 0.25  # usual for English; an endpoint's own usage replaces it
    text_rate: float = 0.25
    text_rates: Mapping[str, float] = field(default_factory=dict)

    def filler_chars(self, tokens: float, family: str, text_chars: int) -> int:
        """Characters of filler that bring a prompt with `text_chars` of other text to `tokens`; 0 if it is longer."""
        rest = tokens - self.fixed_tokens - self.text_rates.get(family, self.text_rate) * text_chars
        return max(0, round(rest / self.filler_rate))


def calibrated(
    filler: Callable[[int], str],
    samples: Mapping[str, str],
    ask: Callable[[str], int | None],
    lengths: tuple[int, int],
) -> Ruler | None:
    """Ask for the tokens of two lengths of filler (their difference is free of the template) and of every sample.

    `samples`: family -> a prompt of it without filler. None where the endpoint does not count.
    """
    short, long = (ask(filler(length)) for length in lengths)
    if short is None or long is None or long <= short:
        return None
    filler_rate = (long - short) / (lengths[1] - lengths[0])
    fixed_tokens = max(0.0, short - filler_rate * lengths[0])
    rates = {}
    for family, text in samples.items():
        tokens = ask(text)
        if tokens is not None and tokens > fixed_tokens:
            rates[family] = (tokens - fixed_tokens) / len(text)
    mean = sum(rates.values()) / len(rates) if rates else filler_rate
    return Ruler(fixed_tokens=fixed_tokens, filler_rate=filler_rate, text_rate=mean, text_rates=rates)
