"""`python -m streamflow`: the command line."""

from streamflow.cli import main

main()
