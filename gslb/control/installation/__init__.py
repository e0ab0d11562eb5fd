"""The machines of an installation: registry, rosters, leader, waves. Pure."""
