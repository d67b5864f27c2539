"""What a run will do: the structures asked for, paths, what is current, demands, checks."""
