"""Cut: a run folder and a moment in, the same folder with its measure window beginning then out.

What began earlier was warm-up after all. Nothing is lost: totals and the test bill count every record as before.
"""

from dataclasses import replace

import msgspec

from harness.measure.folder import RunFolder
from harness.measure.results import RunResult
from harness.measure.window import clocks_of, window_of


def cut_at(book: RunFolder, begin_ns: int) -> RunFolder:
    """`begin_ns` on the wall clock. Requests count where they were planned, else where they began."""
    clocks = clocks_of(book.manifest, book.records)
    records = [
        msgspec.structs.replace(record, stage="warmup")
        if record.stage == "measure"
        and (record.started_ns if record.planned_ns is None else record.planned_ns)
        < begin_ns - clocks.offset_of(record.worker)
        else record
        for record in book.records
    ]
    stages, manifest = book.manifest.stages, book.manifest
    if stages is not None:
        manifest = msgspec.structs.replace(manifest, stages=msgspec.structs.replace(stages, measure_begin_ns=begin_ns))
    return replace(book, records=records, manifest=manifest)


def as_measured(book: RunFolder, run: RunResult) -> RunFolder:
    """The folder with the window that its run.json stands for."""
    if not run.window.cut_s:
        return book
    window, _ = window_of(book.manifest, book.records, clocks_of(book.manifest, book.records))
    return book if window is None else cut_at(book, window.begin_ns + round(run.window.cut_s * 1e9))
