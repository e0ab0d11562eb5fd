"""What an operator may write: models; reading a policy folder (`folder`, `reader`) with positions and cross-checks."""
