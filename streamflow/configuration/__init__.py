"""Flows in files: TOML that says exactly what the dataclasses and operators say, and where it is wrong."""
