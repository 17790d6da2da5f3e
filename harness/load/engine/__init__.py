"""The engine: a process of its own that owns sockets and stamps. Calls in, records out, behind one descriptor.

`engine` is the worker's side, `reader` the process's; a token's arrival time is taken in `stamps`.
"""

from harness.load.engine.engine import Engine

__all__ = ["Engine"]
