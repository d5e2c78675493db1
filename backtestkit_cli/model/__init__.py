"""The words of the program: frozen types that every room shares. Standard library only."""
