"""Everything that knows Locust: users, collector, web UI. No arithmetic here."""
