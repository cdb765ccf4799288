"""What a page shows beside the numbers, read from the rows a second time."""
