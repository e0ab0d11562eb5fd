"""What an operator may write: models, and reading a policy folder with positions and cross-checks."""
