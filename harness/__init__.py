"""trueyield: from a live endpoint to its real cost and yield.

    prompt + planned time -> stream -> StreamRecord -> RunResult -> Economics -> Verdict / Report
    load/                                             measure/     price/       report/

`errors`, `providers`, `records` and `theory` are nouns that every stage shares; `simulator`, `config` and `cli`
are edges.
"""

__version__ = "0.1.0"
