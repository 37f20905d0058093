"""The steps between a source and a sink: a file for each, described as frozen dataclasses."""
