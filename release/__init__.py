"""What a release ships beside the wheel; not part of it."""
