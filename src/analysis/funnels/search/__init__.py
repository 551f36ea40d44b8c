"""funnels/search."""
