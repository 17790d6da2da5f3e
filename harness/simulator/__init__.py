"""An LLM endpoint whose truth is known: a pure model of continuous batching, and its edges."""
