"""Annotated shapes are checked while tests run, and torch keeps to one thread."""

from jaxtyping import install_import_hook

# Before anything imports metarl: the hook rewrites modules as they are loaded.
install_import_hook("metarl", "beartype.beartype")

import torch  # noqa: E402

torch.set_num_threads(1)
