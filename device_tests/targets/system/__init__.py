"""A fully emulated device: an ARM64 system with a kernel of its own and a real `adbd`, started by the tool."""
