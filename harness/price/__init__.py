"""RunResult -> Economics: what it cost, what it should have cost, the yield."""
