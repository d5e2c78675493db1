"""Python that a language model wrote: what it may say, who has agreed to run it, and the process it runs in."""
