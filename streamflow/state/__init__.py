"""What outlives a run: checkpoints, and how what they hold is written down."""
