"""Run and sweep contents in, figures for report.html out: binned, so that a million records stay small."""
