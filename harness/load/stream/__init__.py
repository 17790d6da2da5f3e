"""The stream core, sans-IO: bytes of one response with their arrival times -> StreamRecord. No socket, no clock."""

from harness.load.stream.stream import MAX_PENDING_BYTES, Stream

__all__ = ["MAX_PENDING_BYTES", "Stream"]
