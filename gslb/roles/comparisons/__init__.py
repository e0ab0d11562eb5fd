"""The comparer of a machine, and how edges and control hear of what it found."""
