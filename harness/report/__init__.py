"""RunResult + Economics -> Verdict, terminal, HTML, Prometheus."""
