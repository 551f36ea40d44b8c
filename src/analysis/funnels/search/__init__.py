"""The chain search: of all chains of a unit the one that counts."""
