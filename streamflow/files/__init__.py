"""The file system as the rest of streamflow sees it, so that a simulated one can take its place."""
