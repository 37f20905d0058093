"""The words of streamflow: errors, markers, policies, interfaces. No asyncio, no I/O, no third-party import."""
