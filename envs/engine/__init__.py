"""What steps and draws MuJoCo models: `MujocoTasks`, its lanes, dynamics as task parameters, pictures."""
