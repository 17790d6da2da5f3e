"""records.parquet: a run folder's records in, one table with a row a request and its metrics out.

Only the command line imports this module: a worker process never loads pyarrow.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness.measure.deltas import decode_deltas
from harness.measure.folder import read_folder
from harness.measure.metrics import METRICS
from harness.records import StreamRecord

_ARROW = {int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
_OWN_COLUMNS = (
    "client_lag_ns",
    "server_times",
    "rate_limits",
    "delta_offsets",
)  # not plain values; written in their own way


def write_parquet(folder: Path) -> Path:
    """Write records.parquet whole or not at all; columns keep the names of records.jsonl."""
    table = table_of(read_folder(folder).records)
    draft, path = folder / "records.parquet.part", folder / "records.parquet"
    pq.write_table(table, draft, compression="zstd")
    draft.replace(path)
    return path


def table_of(records: Sequence[StreamRecord]) -> Any:
    """The records as an Arrow table: fields, client lag in three columns, delta offsets as lists, metrics."""
    columns: dict[str, Any] = {}
    for name, hint in get_type_hints(StreamRecord).items():
        if name not in _OWN_COLUMNS:
            columns[name] = pa.array([getattr(record, name) for record in records], _arrow_type(hint))
    for part in ("mean", "p99", "max"):
        lags = [getattr(record.client_lag_ns, part, None) for record in records]
        columns[f"client_lag_ns_{part}"] = pa.array(lags, pa.float64())
    for name in ("server_times", "rate_limits"):
        texts = [found and msgspec.json.encode(found).decode() for found in (getattr(r, name) for r in records)]
        columns[name] = pa.array(texts, pa.string())
    columns["delta_offsets_us"] = _offset_lists(records)
    for metric in METRICS.values():
        if metric.pool is None:
            columns[metric.name] = pa.array([metric.value(record) for record in records], pa.float64())
    return pa.table(columns)


def _arrow_type(hint: Any) -> Any:
    kinds = {hint, *get_args(hint)}
    return next((arrow for kind, arrow in _ARROW.items() if kind in kinds), pa.string())


def _offset_lists(records: Sequence[StreamRecord]) -> Any:
    deltas = decode_deltas(records)
    ends = np.concatenate(([0], np.cumsum(deltas.counts)))
    return pa.LargeListArray.from_arrays(pa.array(ends, pa.int64()), pa.array(deltas.offsets_us, pa.int64()))
