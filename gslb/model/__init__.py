"""What an operator may write: models, and reading a policy folder with positions and cross-checks."""

from gslb.model.folder import load_folder, read_folder
from gslb.model.reader import Loaded, parse_policy

__all__ = ["Loaded", "load_folder", "parse_policy", "read_folder"]
