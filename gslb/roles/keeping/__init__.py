"""What a node holds and how it comes to hold something else, on its disk, with everything else dead."""
