"""StreamRecords -> RunResult: metrics, statistics, grades."""
