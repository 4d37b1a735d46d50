"""Configurations compared and turned into each other, for any model."""

from rui.config.diff import Crumb, Difference, differences, path_text
from rui.config.intended import Plan, overlay, plan
from rui.config.patch import patch

__all__ = ["Crumb", "Difference", "Plan", "differences", "overlay", "patch", "path_text", "plan"]
