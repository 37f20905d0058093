"""Measure streamflow against hand-written code and its peers, side by side in one run."""
