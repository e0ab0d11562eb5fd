"""What the world outside says of our zones, and of names that are to be moved here: asked, then judged.

What was seen is frozen values, judges are pure, and thin modules ask. Nothing here changes anything, and nothing is
known of a running installation but the policy that a caller hands in.
"""
