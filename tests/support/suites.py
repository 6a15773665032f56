"""A small suite."""

from typing import Any

SUITE: dict[str, Any] = {
    "iterations": 2,
    "seeds": [0, 1],
    "evaluation": {"tasks": 3, "adaptations": 1},
    "cells": [
        {
            "environments": ["point-nav", "bandit"],
            "algorithms": ["maml-vpg", "promp"],
            "train": {"tasks": 2, "lanes": 3},
            "env": {"horizon": 5},
            "algo": {"hidden": [8], "first_order": True},
        }
    ],
}
