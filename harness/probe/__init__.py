"""URL -> Probe: what an endpoint really is and how it speaks, found by asking, and an entry for providers.yaml."""
