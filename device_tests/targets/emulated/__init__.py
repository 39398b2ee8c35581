"""A phone without a phone: the runtimes' ARM kernels on emulated cores."""
