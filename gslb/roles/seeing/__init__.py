"""What a node observes, hears from others, and believes."""
