"""Pictures: cameras do not disturb each other, tasks change what is seen, and the map shows what it is given."""

import gc

import mujoco  # noqa: F401 - before envs, which must draw all the same
import numpy as np
import pytest

import envs
from envs.engine.rendering import RobotCamera, draw_plane

BLUE, GREEN = (31, 119, 180), (44, 160, 44)  # matplotlib's tab:blue and tab:green


def robot(name: str) -> envs.MujocoTasks:
    env = envs.make(name, 2, 1, threads=1)
    env.reset(seed=0)
    try:
        env.render_lane(0)
    except envs.InputError as error:
        pytest.skip(str(error))  # this machine has no OpenGL
    return env


def test_cameras_come_and_go_without_disturbing_each_other() -> None:
    first, second = robot("half-cheetah-dir"), robot("hopper-params")
    pictures = first.render_lane(1), second.render_lane(1)
    third = robot("half-cheetah-dir")
    del first
    gc.collect()
    np.testing.assert_array_equal(second.render_lane(1), pictures[1])
    np.testing.assert_array_equal(third.render_lane(1), pictures[0])
    del second
    gc.collect()
    np.testing.assert_array_equal(third.render_lane(1), pictures[0])


def test_the_body_of_a_task_is_drawn_as_it_is() -> None:
    """As a camera draws a model that was edited by hand: the halves of a leg are at half their size and folded."""
    env = robot("ant-cripple")
    env.set_tasks({"leg": [0, 3]})
    env.reset(seed=0)
    pictures = []
    for lane, (upper, lower) in enumerate(((3, 4), (12, 13))):  # geoms, in the XML's order
        camera = RobotCamera(env.model)
        healthy = camera.picture(env.qpos[lane], env.qvel[lane])
        camera.model.geom_size[[upper, lower]] /= 2
        camera.model.geom_pos[lower] = camera.model.geom_pos[upper]
        camera.model.geom_sameframe[lower] = 0  # its place is no longer that of its body's inertia
        expected = camera.picture(env.qpos[lane], env.qvel[lane])
        pictures.append(env.render_lane(lane))
        np.testing.assert_array_equal(pictures[-1], expected)
        assert (expected != healthy).any(axis=2).sum() > 200
    assert (pictures[0] != pictures[1]).any()


def test_drawing_changes_nothing_of_the_simulation() -> None:
    drawn, undrawn = robot("half-cheetah-dir"), envs.make("half-cheetah-dir", 2, 1, threads=1)
    drawn.reset(seed=1), undrawn.reset(seed=1)
    for step in range(5):
        actions = np.full((2, 6), np.sin(step))
        np.testing.assert_array_equal(drawn.step(actions)[0], undrawn.step(actions)[0])
        drawn.render_lane(0)


def place(picture: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    """Mean (column, row) of the pixels of a colour."""
    rows, columns = np.nonzero((np.abs(picture.astype(int) - color) < 8).all(axis=2))
    assert len(rows) > 20
    return np.array([columns.mean(), rows.mean()])


def test_the_map_shows_point_and_goal_where_they_are() -> None:
    # Shown is [-1, 1]² between 11 % and 98 % of the 480 pixels from the left, 8 % and 95 % from below: x is at
    # 480 · (0.545 + 0.435 x) from the left and y at 480 · (0.485 - 0.435 y) from the top; the centre of mass of the
    # star is off by a few pixels.
    picture = draw_plane(np.array([0.5, -0.25]), np.array([[-0.5, 0.5]]), 1.0)
    assert picture.dtype == np.uint8 and picture.shape == (480, 480, 3)
    np.testing.assert_allclose(place(picture, BLUE), [480 * 0.7625, 480 * 0.59375], atol=2)
    np.testing.assert_allclose(place(picture, GREEN), [480 * 0.3275, 480 * 0.2675], atol=4)


def test_walls_and_cells_are_drawn() -> None:
    here, goal = np.zeros(2), np.ones((1, 2))
    plain = draw_plane(here, goal, 2.5)
    wall = draw_plane(here, goal, 2.5, walls=[np.array([[-2.0, -2.0], [-2.0, 2.0]])])
    assert (plain != wall).any(axis=2).sum() > 500
    assert (draw_plane(here, goal, 2.5, cells=True) != plain).any()
