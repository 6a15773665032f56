"""Gymnasium's robots, whose tasks are what they are paid for or what they are made of."""
