"""Families small enough to be solved exactly."""
