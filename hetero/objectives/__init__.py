"""Training objectives: functions of tensors, and small modules where they have weights."""
