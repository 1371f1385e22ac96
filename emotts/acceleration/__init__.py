"""Ways to run the same networks faster on a CPU, chosen when they are loaded: a backend's name comes in, `Choice` goes out.

`choice.py` says which backend runs and why, `swap.py` puts it in place of the layers. Training never comes here.
"""

from emotts.acceleration.choice import BACKENDS, PLAIN, VARIABLE, Choice, choose_backend
from emotts.acceleration.load import load_networks
from emotts.acceleration.swap import accelerate

__all__ = ["BACKENDS", "PLAIN", "VARIABLE", "Choice", "accelerate", "choose_backend", "load_networks"]
