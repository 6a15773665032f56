"""2D navigation: MAML's appendix table (Finn et al. 2017): −40.4 / −11.7 / −3.3 / −3.2 after 0 / 1 / 2 / 3 steps."""

from reproduction import Reproduction, main

POINT_NAV = Reproduction(
    name="point_nav",
    claim="on 40 unseen tasks the mean return is in [-48, -33] before adaptation, >= -15 after 1 step, >= -7 after 3",
    environment="point-nav",
    algorithm="maml-trpo",
    train={"iterations": 60, "tasks": 20, "lanes": 20},
    env={"variant": "maml"},
    algo={"hidden": (100, 100), "activation": "relu"},  # the published network (cbfinn/maml_rl, maml_trpo_point.py)
    evaluate=True,
    holds=lambda f: -48 <= f["unseen_0"] <= -33 and f["unseen_1"] >= -15 and f["unseen_3"] >= -7,
    seeds_needed=3,
)

if __name__ == "__main__":
    main(POINT_NAV)
