"""Words and rules that every package speaks; it imports nothing of ours."""
