"""Memory that is used again, shared with workers, and kept below a limit."""
