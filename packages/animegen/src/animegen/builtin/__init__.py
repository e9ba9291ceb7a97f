"""Stages that need no weights. They enter through the same hooks as every plugin."""
