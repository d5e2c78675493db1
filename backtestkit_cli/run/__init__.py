"""One driver per command: wires ports to the engine."""
