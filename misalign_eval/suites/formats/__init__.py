"""Foreign suite formats: recognised by content and converted into a suite file of our own, with a report of losses."""
