"""Robots of today: position servos, a home pose, what their own sensors say."""
