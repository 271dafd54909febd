import pytest
import torch


@pytest.fixture(autouse=True)
def _seeded():
    """One thread: the nets are tiny, and on a busy machine threads wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)
