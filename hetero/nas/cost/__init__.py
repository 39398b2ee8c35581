"""What an architecture costs, and the budgets that it must fit."""
