"""A reader in, answers and scores out."""
