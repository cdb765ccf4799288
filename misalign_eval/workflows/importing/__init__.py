"""Import of foreign results into run folders."""
