"""Query models of several generations against galleries of several generations."""
