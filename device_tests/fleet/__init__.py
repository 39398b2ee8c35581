"""Deployed application versions against gallery versions."""
