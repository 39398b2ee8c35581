"""Reduced precisions: calibration, and the choice by loss of retrieval."""
