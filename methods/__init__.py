"""Distillation methods, one file each. A file dropped in here is a plugin; nothing else has to be edited."""
