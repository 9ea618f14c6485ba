"""What code costs, without a clock."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Work(TorchDispatchMode):
    """Counts operations and the values that they make."""

    def __init__(self):
        super().__init__()
        self.calls = self.values = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        self.calls += 1
        self.values += sum(x.numel() for x in tree_leaves(made) if isinstance(x, torch.Tensor))
        return made
