"""A fully emulated device: an ARM64 system with its own kernel and a real `adbd`, started by the tool."""
