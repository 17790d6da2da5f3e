"""prompt -> StreamRecord: prompts, calls, the stream core, the engine that owns sockets and stamps."""
