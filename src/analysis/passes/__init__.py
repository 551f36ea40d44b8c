"""The compiled loops, one file per pass, beside the arrays they read.

Every pass takes the arrays of one shard and returns integers that add, or rows that concatenate.
They release the GIL, so the engine can run them over shards in threads, and they are cached on
disk, so a fresh process does not compile them again.
"""
