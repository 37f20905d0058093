"""Bounded edges between two stages."""
