"""One thread: the networks here are tiny, and waiting for other threads costs more than they do."""

import torch

torch.set_num_threads(1)
