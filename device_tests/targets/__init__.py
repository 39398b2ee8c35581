"""Machines that run an exported model: this desktop and an emulated phone."""
