"""Claims: a published figure and its inputs go in; the recomputed figures and a verdict come out.

Topics hold the formulas (`day`, `fleet`, `throughput`, `hardware`, `comparisons`, `inferencex`), `ledger` puts them
to the claims, `verdict` decides, `run` compares a claim's conditions with those of a run folder.
"""
