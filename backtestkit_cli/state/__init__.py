"""Live state that survives any crash: records, and the store that keeps them."""
