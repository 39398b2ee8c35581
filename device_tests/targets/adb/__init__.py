"""Android phones, and other devices that answer to the Android Debug Bridge."""
