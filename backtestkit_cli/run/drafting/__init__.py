"""Strategies drafted by language models: what they are shown, asked and believed, and the project that comes of it."""
