"""Foreign results to run folders: which files belong together, where they go, what is told."""
