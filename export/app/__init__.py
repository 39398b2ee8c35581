"""What an application needs of a bundle: one model's contract, and images to test itself with."""
