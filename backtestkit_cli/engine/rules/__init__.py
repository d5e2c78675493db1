"""The YAML rule language: parse, compile, functions."""
