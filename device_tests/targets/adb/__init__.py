"""Android phones, and whatever else answers to the Android Debug Bridge."""
