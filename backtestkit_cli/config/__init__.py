"""YAML becomes checked values that know their line."""
