"""Who did what when: the log, in memory and on disk."""
