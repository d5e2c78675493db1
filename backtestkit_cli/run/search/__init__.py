"""A search of params: what is tried, on which windows, and what is kept of it."""
