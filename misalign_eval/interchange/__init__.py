"""Foreign results, one row at a time: answer tables, judgments, and logs of Inspect. Nothing here writes a file."""
