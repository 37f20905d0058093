"""Decide and run: plan and fuse (pure), wire, run stage by stage, supervise."""
