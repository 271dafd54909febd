"""Networks as files that other programs run: ONNX, and PyTorch's own exported programs.

Reading order: `graph` (what goes into the file), `specimens` (inputs to try it on), `formats` (how a file is made and
run), `proof` (whether it says what the network says, and how quickly), `shipping` (all of it, and the model card).
Nothing is written that was not first run and found to agree.
"""

__all__: list[str] = []
