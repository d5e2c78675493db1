"""Who answers for a language model: a server, or a file of answers that were given before."""
