"""Architecture search: the student that is best as a query model against the cloud's gallery, under a budget."""
