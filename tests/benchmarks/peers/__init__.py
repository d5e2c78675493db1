"""The same workloads in other backtesters; these files run in a virtual environment of their own."""
