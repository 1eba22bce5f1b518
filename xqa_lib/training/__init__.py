"""A reader in, a reader out."""
