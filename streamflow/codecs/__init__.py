"""Bytes to items and back: a file for each format."""
