"""Sweep: runs at several loads in, which load to run next, which one is best and what lies between them out."""
