"""A Locust FastHttpUser for a streaming chat endpoint, as a competent user writes it: readline, json.loads."""

import json
import time

from locust import FastHttpUser, task
from tickets import BODY, Tickets

tickets = Tickets()


class Streamer(FastHttpUser):
    """One stream after the other on one kept connection."""

    @task
    def chat(self) -> None:
        """One request; stamps are taken after each line that carries content."""
        request_id = tickets.draw()
        sent_ns, deltas_ns = time.perf_counter_ns(), []
        headers = {"X-Request-Id": request_id}
        response = self.client.post("/v1/chat/completions", json=BODY, headers=headers, stream=True)
        while line := response.stream.readline(b"\n"):
            if not line.startswith(b"data: ") or line.startswith(b"data: [DONE]"):
                continue
            choices = json.loads(line[6:])["choices"]
            if choices and choices[0]["delta"].get("content"):
                deltas_ns.append(time.perf_counter_ns())
        tickets.done(self.environment, request_id, sent_ns, deltas_ns)
