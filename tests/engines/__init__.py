"""Engines that no one here wrote, started by the tests."""
