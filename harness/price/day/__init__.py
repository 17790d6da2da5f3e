"""A day or week of demand: its curve, whole units, hours of a card, and the terms that a deployment declares."""
