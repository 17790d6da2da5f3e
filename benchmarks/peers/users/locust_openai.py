"""Locust users with the openai client, one client a user, one TLS context for all (60 ms and 1 MB each).

Locust's own `OpenAIUser` cannot stream: its response hook reads the whole body and parses it as one JSON object.
"""

import ssl
import time

from locust import User, task
from openai import DefaultHttpxClient, OpenAI
from tickets import BODY, Tickets

tickets = Tickets()
context = ssl.create_default_context()


class Streamer(User):
    """One stream after the other on one kept connection."""

    def on_start(self) -> None:
        """A client of its own, as `OpenAIUser` has it."""
        http = DefaultHttpxClient(verify=context, trust_env=False)
        self.client = OpenAI(base_url=f"{self.host}/v1", api_key="none", http_client=http, max_retries=0)

    @task
    def chat(self) -> None:
        """One request; stamps are taken after each chunk that carries content."""
        request_id = tickets.draw()
        sent_ns, deltas_ns = time.perf_counter_ns(), []
        for chunk in self.client.chat.completions.create(**BODY, extra_headers={"X-Request-Id": request_id}):
            if chunk.choices and chunk.choices[0].delta.content:
                deltas_ns.append(time.perf_counter_ns())
        self.environment.events.request.fire(
            request_type="POST",
            name="chat",
            response_time=(time.perf_counter_ns() - sent_ns) / 1e6,
            response_length=len(deltas_ns),
            exception=None,
            context={},
        )
        tickets.done(self.environment, request_id, sent_ns, deltas_ns)
