"""Configurations compared and turned into each other, for any model."""

from rui.config.diff import Crumb, Difference, differences, path_text
from rui.config.patch import patch

__all__ = ["Crumb", "Difference", "differences", "patch", "path_text"]
