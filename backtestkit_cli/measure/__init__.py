"""What the events mean: pure arithmetic over results."""
