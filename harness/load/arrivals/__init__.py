"""When requests are planned to leave: pure functions of seed, index and time. No clock, no socket, no sleep here.

Poisson is many independent sources, users x rate: each worker draws its own, and their union is Poisson again.
Constant, gamma and trace arrivals are one global plan, because a union of such sources would be neither: worker k of n
takes the arrivals whose index is k mod n. All of them may follow a profile: ramps, steps, spikes, or a day's demand.
"""
