"""The places where functions run, other than the event loop: a description each, and the pool that it opens."""
