"""What a site does with its parsed records: benchmarks, joining, and summing up."""
