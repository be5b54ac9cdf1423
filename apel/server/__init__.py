"""What the centre does: load what sites sent, summarise it, report on it."""
