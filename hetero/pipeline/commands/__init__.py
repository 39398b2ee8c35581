"""The commands that run recipes, or a part of one."""
