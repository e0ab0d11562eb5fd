"""The kinds of named checks, one module each, with one function that asks once. When is `probes`' business."""
