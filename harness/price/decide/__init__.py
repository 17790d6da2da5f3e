"""A measured run -> decisions: other terms, levers, break-even, fleets, own or buy."""
