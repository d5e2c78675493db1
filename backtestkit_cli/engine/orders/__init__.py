"""Orders as pure states: what is asked of an exchange next, and what each answer means."""
