"""What the small clients share: the body, the count of requests, and a line of stamps for each finished one."""

import json
import os

BODY = {
    "model": "truth",
    "messages": [{"role": "user", "content": "Say word."}],
    "stream": True,
    "stream_options": {"include_usage": True},
    "max_tokens": 100_000,
}


class Tickets:
    """PEER_REQUESTS requests in all; stamps go to PEER_OUT."""

    def __init__(self) -> None:
        self.left = self.unfinished = int(os.environ["PEER_REQUESTS"])
        self.out = open(os.environ["PEER_OUT"], "w")

    def draw(self) -> str:
        """The id of the next request; ends the Locust user that comes too late."""
        if not self.left:
            from locust.exception import StopUser

            raise StopUser
        self.left -= 1
        return f"peer-{self.left}"

    def done(self, environment: object, request_id: str, sent_ns: int, deltas_ns: list[int]) -> None:
        """Write one line; the last one ends the run."""
        self.out.write(json.dumps({"request_id": request_id, "sent_ns": sent_ns, "deltas_ns": deltas_ns}) + "\n")
        self.unfinished -= 1
        if not self.unfinished:
            self.out.close()
            if environment is not None:
                import gevent

                gevent.spawn(environment.runner.quit)  # it ends all users, and this runs in one of them
