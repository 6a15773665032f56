"""The environments themselves, a family or the families of a robot in a file."""
