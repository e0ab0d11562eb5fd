"""What a dns role does with what it holds: tables in step, queries in the log."""
