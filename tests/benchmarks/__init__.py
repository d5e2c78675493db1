"""Speed and memory beside other backtesters, as ratios."""
