"""The only training loop, and everything around it: feed, checkpoints, records, readings, launching."""
