"""Joins: for each kind a state machine that is given items and watermarks, and says what comes of them."""
