"""What every environment promises: `TaskEnv`, the laws and lists of tasks, splits, options, seeds and errors."""
