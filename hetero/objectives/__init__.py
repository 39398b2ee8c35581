"""Training objectives: functions of tensors, or small modules where they have weights."""
