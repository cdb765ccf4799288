"""`doctor`, and the lint of replies: what is wrong with an environment, a run folder, a text."""
