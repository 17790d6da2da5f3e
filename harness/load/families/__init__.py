"""Families of reasoning problems: (seed, ordinal, difficulty) in, a one-line problem with an exact checker out."""
