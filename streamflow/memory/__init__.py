"""Memory that is bounded, handed out again and shared between processes."""
