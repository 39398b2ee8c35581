"""The costs of an architecture, and the budgets that it must fit."""
