"""Networks that look at images, and the multilayer perceptron that takes anything flat."""
