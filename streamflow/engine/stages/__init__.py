"""The kinds of stage, a file for each."""
