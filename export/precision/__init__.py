"""Reduced precisions: calibration, and the choice by what retrieval loses."""
