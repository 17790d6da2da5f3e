"""Serve a GGUF with llama.cpp's own HTTP server: `python -m tests.engines.llamacpp GGUF PORT [SLOTS]`."""

import signal
import sys

import xllamacpp


def serve(path: str, port: int, slots: int) -> None:
    """Block until SIGTERM; the C++ server answers on 127.0.0.1:port as model `tiny`."""
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_parallel = slots
    params.n_ctx = 2048 * slots
    params.endpoint_metrics = True
    params.model_alias = {"tiny"}
    params.cpuparams.n_threads = 1
    server = xllamacpp.Server(params)
    print(f"ready on {server.listening_address}", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 4)
