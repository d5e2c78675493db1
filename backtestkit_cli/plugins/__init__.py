"""User code becomes checked callables: by name, by file, by module."""
