"""The figures of a run while they are still moving. No asyncio, no I/O, no third-party import."""
