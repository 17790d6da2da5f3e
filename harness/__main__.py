"""`python -m harness` is the `trueyield` command."""

from harness.cli import main

main()
