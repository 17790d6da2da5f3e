"""Contents of a run or sweep in, what a reader should see first out, as plain values that terminal and HTML print."""

from harness.report.screen.first import first_screen, too_low
from harness.report.screen.frontier import Frontier, frontier
from harness.report.screen.money import bill_text
from harness.report.screen.shapes import FirstScreen, Price, Row

__all__ = ["FirstScreen", "Frontier", "Price", "Row", "bill_text", "first_screen", "frontier", "too_low"]
